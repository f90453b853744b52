"""Plots of benchmarks, as SVG for docs/images/: the same figures draw the same file."""

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "radstream"
from matplotlib import pyplot as plt  # noqa: E402 - after the backend is chosen
from matplotlib.figure import Figure  # noqa: E402

__all__ = ["plt", "save"]


def save(figure: Figure, file: Path) -> None:
    """Write the figure, without a date."""
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
