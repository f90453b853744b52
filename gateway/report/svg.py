"""SVG that takes its colours from the page it stands in."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

# Stand-ins that the drawn SVG has in the place of the page's own colours.
INK, GRID, GOOD, WARN, BAD, FIRST, SECOND, THIRD = (f"#00000{n}" for n in range(1, 9))
_PAGE_COLOURS = {
    INK: "var(--ink-soft)",
    GRID: "var(--grid)",
    GOOD: "var(--good)",
    WARN: "var(--warn)",
    BAD: "var(--bad)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    THIRD: "var(--third)",
}
_STYLE: dict[Any, Any] = {  # matplotlib's type of it lists every parameter there is
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "ytick.left": False,
    "legend.frameon": False,
}


def svg(title: str, draw: Callable[[Axes], str]) -> str:
    """Return an `svg` element of what is drawn, to stand in a page's HTML.

    Parameters
    ----------
    title
        The subject; no other picture of the page has the same.
    draw
        Draws, in this module's colours, and says in words what there is to see.
    """
    with mpl.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(6.2, 2.6), layout="constrained")
        description = draw(figure.add_subplot())
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _embedded(file.getvalue(), title, description)


def _embedded(document: str, title: str, description: str) -> str:
    """Return the `svg` element alone: ids of its own, the page's colours, as wide as it may be."""
    prefix = re.sub(r"\W+", "-", title.lower())
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<0>{prefix}-", element)
    for stand_in, colour in _PAGE_COLOURS.items():
        element = element.replace(stand_in, colour)
    element = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", element, count=1)
    element = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", element, count=1)
    label = f'role="img" aria-labelledby="{prefix}-title {prefix}-desc"'
    told = (
        f'<title id="{prefix}-title">{html.escape(title)}</title>'
        f'<desc id="{prefix}-desc">{html.escape(description)}</desc>'
    )
    return re.sub(r"<svg([^>]*)>", lambda found: f"<svg {label}{found[1]}>{told}", element, count=1)
