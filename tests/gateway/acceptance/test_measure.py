"""Figures of labelled studies, held to scikit-learn's."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from gateway.acceptance.measure import StudyOutcome, difference, figures
from gateway.schemas.acceptance import Subgroup

GROUPS = {"sex": "F", "age": "unknown", "view": "AP", "device": "DR 7", "sender": "unknown"}


def studies(seed: int, size: int = 120, noise: float = 1.0) -> list[StudyOutcome]:
    """Studies of two devices, every fifth without a verdict; the truth hangs on no seed."""
    truth = np.arange(size) % 3 == 0
    random = np.random.default_rng(seed)
    scores = 1 / (1 + np.exp(-random.normal(np.where(truth, 1.0, -1.0), noise)))
    return [
        StudyOutcome(
            f"s{place}",
            {"pneumonia": bool(truth[place])},
            GROUPS | {"device": "DR 7" if place < size - 10 else "DR 8"},
            {} if place % 5 == 4 else {"pneumonia": float(scores[place])},
            not_applicable="blank" if place % 5 == 4 else None,
        )
        for place in range(size)
    ]


def test_figures_equal_scikit_learns():
    outcomes = studies(1)
    read = [each for each in outcomes if each.probabilities]
    truth = [each.truth["pneumonia"] for each in read]
    scores = [each.probabilities["pneumonia"] for each in read]
    found = figures("pneumonia", 0.6, outcomes)
    assert (found.studies, found.positive, found.is_enough) == (len(read), sum(truth), True)
    assert found.auc is not None
    assert found.auc.value == pytest.approx(roc_auc_score(truth, scores))
    positive = [score >= 0.6 for score in scores]
    point = found.operating_point
    assert point.sensitivity is not None
    assert point.sensitivity.value == pytest.approx(recall_score(truth, positive))
    assert point.positive_predictive_value is not None
    assert point.positive_predictive_value.value == pytest.approx(precision_score(truth, positive))
    assert len(found.missed) == point.false_negative
    assert len(found.overcalled) == point.false_positive
    assert "s4" not in {*found.missed, *found.overcalled}
    at_half = next(each for each in found.by_prevalence if each.prevalence == 0.5)
    assert at_half.positive_predictive_value is not None
    assert found.roc[0] == (0.0, 0.0)
    assert found.roc[-1] == (1.0, 1.0)


def test_proposals_keep_what_they_promise():
    outcomes = studies(2, 400)
    sensitive, specific, balanced = figures("pneumonia", 0.5, outcomes).proposals
    assert sensitive.sensitivity is not None
    assert sensitive.sensitivity.value >= 0.95
    assert specific.specificity is not None
    assert specific.specificity.value >= 0.90
    for proposal in (sensitive, specific, balanced):
        at = figures("pneumonia", proposal.threshold, outcomes).operating_point
        assert at.model_dump() == proposal.model_dump(exclude={"aim"})
    higher = figures("pneumonia", np.nextafter(sensitive.threshold, 1), outcomes).operating_point
    assert higher.sensitivity is not None
    assert higher.sensitivity.value < 0.95


def by_device(outcomes: list[StudyOutcome]) -> dict[str, Subgroup]:
    """The figures of each device."""
    subgroups = figures("pneumonia", 0.6, outcomes).subgroups
    return {each.value: each for each in subgroups if each.attribute == "device"}


def test_figures_of_a_subgroup_equal_scikit_learns():
    outcomes = studies(3)
    chosen = [each for each in outcomes if each.probabilities and each.groups["device"] == "DR 7"]
    truth = np.array([each.truth["pneumonia"] for each in chosen])
    scores = np.array([each.probabilities["pneumonia"] for each in chosen])
    found = by_device(outcomes)["DR 7"]
    assert (found.studies, found.positive, found.is_enough) == (len(chosen), truth.sum(), True)
    positive = scores >= 0.6
    shares, means = calibration_curve(truth, scores, n_bins=10)
    counts = np.histogram(scores, bins=10, range=(0, 1))[0]
    for figure, expected in (
        (found.auc, roc_auc_score(truth, scores)),
        (found.sensitivity, recall_score(truth, positive)),
        (found.specificity, recall_score(~truth, ~positive)),
        (found.calibration_error, np.average(abs(shares - means), weights=counts[counts > 0])),
    ):
        assert figure is not None
        assert figure.value == pytest.approx(expected)
        assert figure.low < figure.value < figure.high


def test_few_studies_of_a_group_give_no_figures():
    few = by_device(studies(3))["DR 8"]
    assert (few.studies, few.is_enough) == (8, False)
    assert (few.auc, few.sensitivity, few.specificity) == (None, None, None)
    assert few.calibration_error is None


def test_of_one_class_there_is_no_area_and_of_no_study_nothing():
    without = [each for each in studies(4) if not each.truth["pneumonia"]]
    found = figures("pneumonia", 0.5, without)
    assert (found.auc, found.roc, found.proposals) == (None, (), ())
    assert found.operating_point.sensitivity is None
    nothing = figures("effusion", 0.5, without)
    assert (nothing.studies, nothing.is_enough, nothing.brier) == (0, False, None)


def test_versions_are_compared_on_the_studies_that_both_read():
    first, second = studies(5, 300, noise=2.0), studies(6, 300, noise=0.5)
    second[0] = StudyOutcome("s0", {"pneumonia": True}, GROUPS, failed="Service overloaded")
    found = difference("pneumonia", (0.5, first), (0.5, second))
    assert found.studies == 239
    assert found.auc is not None
    assert 0 < found.auc.low < found.auc.value < found.auc.high
    assert found.only_second_right > found.only_first_right
    same = difference("pneumonia", (0.5, first), (0.5, first))
    assert same.auc is not None
    assert (same.auc.low, same.auc.value, same.auc.high) == (0.0, 0.0, 0.0)
    none = difference("pneumonia", (0.5, first[:0]), (0.5, second))
    assert (none.studies, none.auc) == (0, None)
