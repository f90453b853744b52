"""Figures of merit of probabilities against labels, in numpy alone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Scores = NDArray[np.float64]
Figure = Callable[[Labels, Scores], float]


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def ranks(scores: Scores) -> NDArray[np.float64]:
    """Ranks from 1, ties sharing their mean rank."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    shared: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return shared


def auc(labels: Labels, scores: Scores) -> float:
    """Area under the receiver operating characteristic, ties counted by half (Mann-Whitney)."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    excess = float(ranks(scores)[labels == 1].sum()) - positives * (positives + 1) / 2
    return excess / (positives * negatives)


def sensitivity(labels: Labels, scores: Scores, threshold: float) -> float:
    """Share of the pneumonia pictures at or above `threshold`."""
    return float((scores[labels == 1] >= threshold).mean())


def specificity(labels: Labels, scores: Scores, threshold: float) -> float:
    """Share of the normal pictures below `threshold`."""
    return float((scores[labels == 0] < threshold).mean())


def balanced_accuracy(labels: Labels, scores: Scores, threshold: float) -> float:
    """Mean of sensitivity and specificity."""
    return (sensitivity(labels, scores, threshold) + specificity(labels, scores, threshold)) / 2


def expected_calibration_error(labels: Labels, scores: Scores, bins: int = 10) -> float:
    """Mean distance of probability from observed frequency, over `bins` equal widths."""
    places = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [
        abs(float(scores[places == place].mean() - labels[places == place].mean()))
        * float((places == place).mean())
        for place in np.unique(places)
    ]
    return float(sum(gaps))


def brier(labels: Labels, scores: Scores) -> float:
    """Mean squared distance of probability from outcome."""
    return float(((scores - labels) ** 2).mean())


def threshold_for(labels: Labels, scores: Scores, least_sensitivity: float) -> float:
    """The largest threshold, in hundredths, with at least the sensitivity asked for."""
    hundredths = [step / 100 for step in range(100, -1, -1)]
    return next(t for t in hundredths if sensitivity(labels, scores, t) >= least_sensitivity)


def spearman(first: Scores, second: Scores) -> float:
    """Rank correlation."""
    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


def bootstrapped(
    figure: Figure,
    labels: Labels,
    scores: Scores,
    patients: NDArray[np.str_],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The figure with its percentile interval; whole patients are drawn with replacement."""
    rng = np.random.default_rng(seed)
    _, owner = np.unique(patients, return_inverse=True)
    pictures = [np.flatnonzero(owner == patient) for patient in range(owner.max() + 1)]
    values = []
    for _ in range(resamples):
        drawn = rng.integers(len(pictures), size=len(pictures))
        chosen = np.concatenate([pictures[patient] for patient in drawn])
        values.append(figure(labels[chosen], scores[chosen]))
    low, high = np.percentile(values, (2.5, 97.5))
    return Estimate(figure(labels, scores), float(low), float(high))
