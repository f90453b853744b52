"""Figures of a model that is held against the truth, each proportion with its interval.

Not scikit-learn: a gateway that serves needs none of it, and of these figures the intervals, which
it does not have, are the greater part. The tests hold them to its figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Scores = NDArray[np.float64]

Z_95 = 1.959963984540054
"""Standard normal deviate of a two-sided interval at 95 %."""
Z_99 = 2.575829303548901
"""Standard normal deviate of a two-sided interval at 99 %, and of a bound of 99.5 %."""
# Fewer say nothing that an interval of half the range would not say.
ENOUGH = 20
BINS = 10
_RESAMPLES = 1000
_STEPS = 60


class Estimate(NamedTuple):
    """A figure with its interval at 95 %; none of it where the data are not enough for one."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Studies by truth and verdict."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int

    @classmethod
    def of(cls, truth: Flags, positive: Flags) -> Counts:
        """Return the counts; both of shape (studies,)."""
        return cls(
            int(np.count_nonzero(truth & positive)),
            int(np.count_nonzero(truth & ~positive)),
            int(np.count_nonzero(~truth & positive)),
            int(np.count_nonzero(~truth & ~positive)),
        )

    @property
    def studies(self) -> int:
        """Return their number."""
        return self.true_positive + self.false_negative + self.false_positive + self.true_negative

    @property
    def sensitivity(self) -> Estimate | None:
        """Return the share of those with the finding that the model finds."""
        return proportion(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> Estimate | None:
        """Return the share of those without the finding that the model leaves."""
        return proportion(self.true_negative, self.true_negative + self.false_positive)

    @property
    def positive_predictive_value(self) -> Estimate | None:
        """Return the share of positive verdicts that are right."""
        return proportion(self.true_positive, self.true_positive + self.false_positive)

    @property
    def negative_predictive_value(self) -> Estimate | None:
        """Return the share of negative verdicts that are right."""
        return proportion(self.true_negative, self.true_negative + self.false_negative)

    @property
    def concordance(self) -> Estimate | None:
        """Return the share of verdicts that are right."""
        return proportion(self.true_positive + self.true_negative, self.studies)


def proportion(count: int, total: int) -> Estimate | None:
    """Return a proportion with Wilson's score interval; None of nothing.

    References
    ----------
    Newcombe, Statistics in Medicine 17 (1998) 857: method 3.
    """
    return Estimate(count / total, *wilson(count, total)) if total else None


def wilson(count: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Return the bounds of a share by Wilson's score; of nothing it may be any.

    Parameters
    ----------
    z
        Standard normal deviate of the two-sided interval.
    """
    if total == 0:
        return 0.0, 1.0
    share = count / total
    middle = (count + z**2 / 2) / (total + z**2)
    half = z * math.sqrt(share * (1 - share) * total + z**2 / 4) / (total + z**2)
    return max(0.0, middle - half), min(1.0, middle + half)


def auc(truth: Flags, scores: Scores) -> Estimate | None:
    """Return the area under the ROC curve; None where one of the two classes is missing.

    The interval is Newcombe's score interval, which says something also where the classes are
    apart altogether.

    References
    ----------
    Newcombe, Statistics in Medicine 25 (2006) 559: method 5.
    """
    with_finding, without = int(truth.sum()), int((~truth).sum())
    if not with_finding or not without:
        return None
    ranks = _mid_ranks(scores)[truth].sum()
    value = (ranks - with_finding * (with_finding + 1) / 2) / (with_finding * without)
    more = (with_finding + without) / 2 - 1

    def is_within(area: float) -> bool:
        spread = 1 + more * ((1 - area) / (2 - area) + area / (1 + area))
        variance = area * (1 - area) * spread / (with_finding * without)
        return bool(abs(value - area) <= Z_95 * math.sqrt(variance))

    return Estimate(
        float(value), _bound(float(value), 0.0, is_within), _bound(float(value), 1.0, is_within)
    )


def roc_points(truth: Flags, scores: Scores) -> list[tuple[float, float, float]]:
    """Return the ROC curve, both classes being there.

    Returns
    -------
    list of tuple
        1 - specificity, sensitivity and the threshold that gives them, from the highest down: a
        score that reaches it is positive.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, [True]))
    found = np.cumsum(truth[order])[ends] / truth.sum()
    false = np.cumsum(~truth[order])[ends] / (~truth).sum()
    return [
        (float(x), float(y), float(threshold))
        for x, y, threshold in zip(false, found, scores[order][ends], strict=True)
    ]


class Bin(NamedTuple):
    """Studies of like probability: its mean, and the share of them that have the finding."""

    studies: int
    probability: float
    share: float


def calibration(truth: Flags, scores: Scores) -> list[Bin]:
    """Return ten bins of equal width in the order of their probability, empty ones left out."""
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    return [
        Bin(int(within.sum()), float(scores[within].mean()), float(truth[within].mean()))
        for within in (places == place for place in range(BINS))
        if within.any()
    ]


def calibration_error(truth: Flags, scores: Scores) -> Estimate | None:
    """Return the expected calibration error with its bootstrap interval; None of no studies.

    It is the mean distance of probability and share over the bins of `calibration`, each weighted
    by its studies. The resamples are the same whenever it is asked for.
    """
    if not len(truth):
        return None
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    distances = scores - truth

    def error(chosen: NDArray[np.int64]) -> float:
        sums = np.bincount(places[chosen], weights=distances[chosen], minlength=BINS)
        return float(np.abs(sums).sum() / len(chosen))

    everything = np.arange(len(truth))
    random = np.random.default_rng(0)
    again = [error(random.choice(everything, len(everything))) for _ in range(_RESAMPLES)]
    low, high = np.quantile(again, [0.025, 0.975])
    value = error(everything)
    # Resampled noise adds to the error: the interval may lie beside the estimate.
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def brier(truth: Flags, scores: Scores) -> float:
    """Return the mean squared distance of probability and truth."""
    return float(np.mean((scores - truth) ** 2))


def predictive_values(
    sensitivity: float, specificity: float, prevalence: float
) -> tuple[float | None, float | None]:
    """Return positive and negative predictive value at a prevalence, by Bayes' theorem."""
    positive = sensitivity * prevalence + (1 - specificity) * (1 - prevalence)
    negative = specificity * (1 - prevalence) + (1 - sensitivity) * prevalence
    return (
        sensitivity * prevalence / positive if positive else None,
        specificity * (1 - prevalence) / negative if negative else None,
    )


def _mid_ranks(scores: Scores) -> NDArray[np.float64]:
    """Return the rank of each score from 1, equal ones sharing the mean of theirs."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[places], np.float64)


def _bound(value: float, end: float, is_within: Callable[[float], bool]) -> float:
    """Return the area farthest from the value towards an end that is still within, by bisection."""
    inside, outside = value, end
    if is_within(end):
        # The variance is 0 at the ends alone: they hold only their own value.
        return end
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if is_within(middle):
            inside = middle
        else:
            outside = middle
    return inside
