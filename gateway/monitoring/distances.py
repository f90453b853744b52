"""Distances between two histograms of one feature, with bounds by the bootstrap.

Not SciPy, alibi-detect or Evidently: they take samples, and here are only counts in bins. The tests
hold these distances to SciPy's and to those of frouros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Shares = NDArray[np.float64]

RESAMPLES = 400
_ALPHA = 0.05  # the bounds hold with 95 %


@dataclass(frozen=True, slots=True)
class Distance:
    """Distance of a window from a reference.

    Parameters
    ----------
    value
        Distance beyond what chance alone makes of so few readings; 0 or more.
    low, high
        Bounds that hold with 95 %.
    n, reference_n
        Number of readings in the window and in the reference.
    """

    value: float
    low: float
    high: float
    n: int
    reference_n: int


def hellinger(reference: Shares, window: Shares) -> Shares:
    """Return the Hellinger distance, from 0 to 1, of shares that add up to 1.

    Parameters
    ----------
    reference, window : ndarray of float64, shape (..., bins)

    Returns
    -------
    ndarray of float64, shape (...)
    """
    affinity = np.sqrt(reference * window).sum(axis=-1)
    distance: Shares = np.sqrt(np.clip(1 - affinity, 0, 1))
    return distance


def earth_mover(reference: Shares, window: Shares) -> Shares:
    """Return the earth mover's (Wasserstein-1) distance of shares that add up to 1, in bins.

    Parameters
    ----------
    reference, window : ndarray of float64, shape (..., bins)
        Bins in their order, each one from the next.

    Returns
    -------
    ndarray of float64, shape (...)
    """
    distance: Shares = np.abs(np.cumsum(reference - window, axis=-1)).sum(axis=-1)
    return distance


def nominal_distance(
    reference: Mapping[str, int], window: Mapping[str, int], *, seed: int
) -> Distance:
    """Return the Hellinger distance of counts in bins without an order.

    Parameters
    ----------
    reference, window
        Counts by bin; at least one reading each.
    seed
        Of the bootstrap: the same counts and seed give the same bounds on every gateway.
    """
    bins = sorted({*reference, *window})
    one, other = (np.array([each.get(name, 0) for name in bins]) for each in (reference, window))
    return _bounded(one, other, hellinger, seed=seed)


def ordered_distance(
    reference: Mapping[str, int], window: Mapping[str, int], *, seed: int
) -> Distance:
    """Return the earth mover's distance of counts in ordered bins.

    It is told in standard deviations of the reference, or in bins where that is less than one.

    Parameters
    ----------
    reference, window
        Counts by number of the bin; at least one reading each.
    seed
        See `nominal_distance`.
    """
    places = [int(name) for name in (*reference, *window)]
    first = min(places)
    counts = []
    for each in (reference, window):
        row = np.zeros(max(places) - first + 1, dtype=np.int64)
        for name, count in each.items():
            row[int(name) - first] = count
        counts.append(row)
    scale = max(1.0, _deviation(counts[0]))

    def scaled(one: Shares, other: Shares) -> Shares:
        return earth_mover(one, other) / scale

    return _bounded(counts[0], counts[1], scaled, seed=seed)


def _deviation(counts: NDArray[np.int64]) -> float:
    """Return the standard deviation of counts in bins, in bins."""
    shares, places = counts / counts.sum(), np.arange(counts.size)
    mean = float(shares @ places)
    return math.sqrt(float(shares @ np.square(places - mean)))


def _bounded(
    reference: NDArray[np.int64],
    window: NDArray[np.int64],
    distance: Callable[[Shares, Shares], Shares],
    *,
    seed: int,
) -> Distance:
    """Return a distance with bounds.

    Counts of a few readings differ by chance, so that the distance of two samples of one population
    is above 0. Resampling adds as much again to the square of it, which tells how much that is.
    """
    generator = np.random.default_rng(seed)
    n, reference_n = int(window.sum()), int(reference.sum())
    shares, reference_shares = window / n, reference / reference_n
    found = float(distance(reference_shares, shares)) ** 2
    again = np.square(
        distance(
            generator.multinomial(reference_n, reference_shares, RESAMPLES) / reference_n,
            generator.multinomial(n, shares, RESAMPLES) / n,
        )
    )
    chance = float(again.mean()) - found
    low, high = np.quantile(again, (_ALPHA / 2, 1 - _ALPHA / 2)) - 2 * chance
    value, low, high = (math.sqrt(max(0.0, each)) for each in (found - chance, low, high))
    return Distance(value, low, high, n, reference_n)
