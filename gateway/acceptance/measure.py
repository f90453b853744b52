"""Figures of an acceptance page, made of what a model version said of labelled studies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.acceptance.attributes import ATTRIBUTES
from gateway.acceptance.statistics import (
    ENOUGH,
    Counts,
    auc,
    brier,
    calibration,
    calibration_error,
    predictive_values,
    roc_points,
)
from gateway.schemas.acceptance import (
    AtPrevalence,
    CalibrationBin,
    Difference,
    Interval,
    LabelFigures,
    OperatingPoint,
    Proposal,
    Subgroup,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.acceptance.statistics import Estimate, Flags, Scores

    _Read = tuple[float, Sequence["StudyOutcome"]]

_PREVALENCES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_WANTED_SENSITIVITY = 0.95
_WANTED_SPECIFICITY = 0.90
_DRAWN = 200
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class StudyOutcome:
    """Reading of a labelled study by a model version, or the cause that there is none.

    Parameters
    ----------
    study
        Its name in the site's list.
    truth
        True where it has the finding, by label.
    groups
        Group that it belongs to, by attribute.
    probabilities
        Highest of its images, by label; empty where there is no verdict.
    not_applicable, failed
        Cause of having none.
    """

    study: str
    truth: Mapping[str, bool]
    groups: Mapping[str, str]
    probabilities: Mapping[str, float] = field(default_factory=dict)
    not_applicable: str | None = None
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class _Table:
    """Studies with truth and probability of one label, in the order of the list."""

    names: Sequence[str]
    truth: Flags
    scores: Scores
    groups: Sequence[Mapping[str, str]]


def figures(label: str, threshold: float, outcomes: Sequence[StudyOutcome]) -> LabelFigures:
    """Return the figures of a label at the threshold of its contract."""
    table = _table(label, outcomes)
    truth, scores = table.truth, table.scores
    positive = scores >= threshold
    counts = Counts.of(truth, positive)
    both = bool(truth.any() and not truth.all())
    sensitivity, specificity = counts.sensitivity, counts.specificity
    return LabelFigures(
        label=label,
        studies=len(truth),
        positive=int(truth.sum()),
        is_enough=len(truth) >= ENOUGH,
        auc=_told(auc(truth, scores)),
        operating_point=OperatingPoint(**_point(threshold, counts)),
        calibration_error=_told(calibration_error(truth, scores)),
        brier=brier(truth, scores) if len(truth) else None,
        calibration=tuple(
            CalibrationBin(studies=each.studies, probability=each.probability, share=each.share)
            for each in calibration(truth, scores)
        ),
        roc=tuple(_drawn(roc_points(truth, scores))) if both else (),
        by_prevalence=tuple(_by_prevalence(sensitivity, specificity)),
        proposals=tuple(_proposals(truth, scores)) if both else (),
        subgroups=tuple(_subgroups(table, positive)),
        missed=_named(table, truth & ~positive),
        overcalled=_named(table, ~truth & positive),
    )


def difference(label: str, first: _Read, second: _Read) -> Difference:
    """Return how two versions differ on the studies that both of them read.

    Parameters
    ----------
    first, second
        Threshold and outcomes of each.
    """
    tables = [_table(label, outcomes) for _, outcomes in (first, second)]
    places = [{name: place for place, name in enumerate(table.names)} for table in tables]
    common = [name for name in tables[0].names if name in places[1]]
    chosen = [[of_table[name] for name in common] for of_table in places]
    truth = tables[0].truth[chosen[0]]
    scores = [table.scores[rows] for table, rows in zip(tables, chosen, strict=True)]
    right = [
        (of_one >= threshold) == truth
        for of_one, (threshold, _) in zip(scores, (first, second), strict=True)
    ]
    return Difference(
        label=label,
        studies=len(common),
        auc=_paired_auc(truth, scores[0], scores[1]),
        only_first_right=int(np.count_nonzero(right[0] & ~right[1])),
        only_second_right=int(np.count_nonzero(right[1] & ~right[0])),
    )


def _table(label: str, outcomes: Sequence[StudyOutcome]) -> _Table:
    used = [each for each in outcomes if label in each.truth and label in each.probabilities]
    return _Table(
        [each.study for each in used],
        np.array([each.truth[label] for each in used], bool),
        np.array([each.probabilities[label] for each in used], np.float64),
        [each.groups for each in used],
    )


def _point(threshold: float, counts: Counts) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "true_positive": counts.true_positive,
        "false_negative": counts.false_negative,
        "false_positive": counts.false_positive,
        "true_negative": counts.true_negative,
        "sensitivity": _told(counts.sensitivity),
        "specificity": _told(counts.specificity),
        "positive_predictive_value": _told(counts.positive_predictive_value),
        "negative_predictive_value": _told(counts.negative_predictive_value),
        "concordance": _told(counts.concordance),
    }


def _by_prevalence(
    sensitivity: Estimate | None, specificity: Estimate | None
) -> Iterator[AtPrevalence]:
    if sensitivity is None or specificity is None:
        return
    for prevalence in _PREVALENCES:
        positive, negative = predictive_values(sensitivity.value, specificity.value, prevalence)
        yield AtPrevalence(
            prevalence=prevalence,
            positive_predictive_value=positive,
            negative_predictive_value=negative,
        )


def _proposals(truth: Flags, scores: Scores) -> Iterator[Proposal]:
    points = roc_points(truth, scores)
    aims = (
        (
            f"highest with a sensitivity of {_WANTED_SENSITIVITY:g}",
            next((at for _, found, at in points if found >= _WANTED_SENSITIVITY), None),
        ),
        (
            f"lowest with a specificity of {_WANTED_SPECIFICITY:g}",
            next((at for x, _, at in reversed(points) if 1 - x >= _WANTED_SPECIFICITY), None),
        ),
        (
            "greatest sum of sensitivity and specificity",
            max(points, key=lambda point: point[1] - point[0])[2],
        ),
    )
    for aim, threshold in aims:
        if threshold is not None:
            counts = Counts.of(truth, scores >= threshold)
            yield Proposal(aim=aim, **_point(threshold, counts))


def _subgroups(table: _Table, positive: Flags) -> Iterator[Subgroup]:
    for attribute in ATTRIBUTES:
        values = np.array([groups[attribute] for groups in table.groups], dtype=np.str_)
        for value in sorted(set(values.tolist())):
            within = values == value
            truth, scores = table.truth[within], table.scores[within]
            is_enough = len(truth) >= ENOUGH
            counts = Counts.of(truth, positive[within])
            yield Subgroup(
                attribute=attribute,
                value=value,
                studies=len(truth),
                positive=int(truth.sum()),
                is_enough=is_enough,
                auc=_told(auc(truth, scores)) if is_enough else None,
                sensitivity=_told(counts.sensitivity) if is_enough else None,
                specificity=_told(counts.specificity) if is_enough else None,
                calibration_error=_told(calibration_error(truth, scores)) if is_enough else None,
            )


def _paired_auc(truth: Flags, first: Scores, second: Scores) -> Interval | None:
    areas = auc(truth, first), auc(truth, second)
    if areas[0] is None or areas[1] is None:
        return None
    random = np.random.default_rng(0)
    differences = []
    for _ in range(_RESAMPLES):
        chosen = random.integers(0, len(truth), len(truth))
        again = auc(truth[chosen], first[chosen]), auc(truth[chosen], second[chosen])
        if again[0] is not None and again[1] is not None:
            differences.append(again[1].value - again[0].value)
    value = areas[1].value - areas[0].value
    low, high = np.quantile(differences, [0.025, 0.975]) if differences else (value, value)
    return Interval(value=value, low=float(low), high=float(high))


def _drawn(points: Sequence[tuple[float, float, float]]) -> Iterator[tuple[float, float]]:
    """Yield as many points of a curve as are worth drawing."""
    every = max(1, len(points) // _DRAWN)
    yield 0.0, 0.0
    for x, y, _ in points[::every]:
        yield round(x, 6), round(y, 6)
    yield 1.0, 1.0


def _named(table: _Table, chosen: Flags) -> tuple[str, ...]:
    return tuple(name for name, is_one in zip(table.names, chosen, strict=True) if is_one)


def _told(estimate: Estimate | None) -> Interval | None:
    if estimate is None:
        return None
    return Interval(value=estimate.value, low=estimate.low, high=estimate.high)
