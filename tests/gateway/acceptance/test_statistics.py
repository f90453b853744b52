"""Figures equal scikit-learn's; intervals equal those of the papers that they are taken from."""

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    brier_score_loss,
    confusion_matrix,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from gateway.acceptance.statistics import (
    Counts,
    auc,
    brier,
    calibration,
    calibration_error,
    predictive_values,
    proportion,
    roc_points,
    wilson,
)


@pytest.fixture(params=range(6))
def studies(request: pytest.FixtureRequest):
    """Truth and probabilities of a model of some use, with ties, from 12 to 400 studies."""
    random = np.random.default_rng(request.param)
    size = (12, 40, 75, 120, 250, 400)[request.param]
    truth = random.random(size) < 0.4
    truth[:2] = True, False
    scores = 1 / (1 + np.exp(-random.normal(np.where(truth, 1.0, -1.0), 1.2)))
    return truth, np.round(scores, 2)


def test_areas_and_curves_equal_scikit_learns(studies):
    truth, scores = studies
    area = auc(truth, scores)
    assert area is not None
    assert area.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert 0 <= area.low < area.value < area.high <= 1
    false, found, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    points = np.array(roc_points(truth, scores))
    # scikit-learn puts the corner of no positives first.
    np.testing.assert_allclose(points, np.stack([false, found, thresholds], axis=1)[1:])


def test_operating_points_equal_scikit_learns(studies):
    truth, scores = studies
    positive = scores >= 0.5
    counts = Counts.of(truth, positive)
    expected = confusion_matrix(truth, positive)
    assert [
        [counts.true_negative, counts.false_positive],
        [counts.false_negative, counts.true_positive],
    ] == expected.tolist()
    assert counts.studies == len(truth)
    for estimate, value in (
        (counts.sensitivity, recall_score(truth, positive)),
        (counts.specificity, recall_score(truth, positive, pos_label=False)),
        (counts.positive_predictive_value, precision_score(truth, positive)),
        (counts.negative_predictive_value, precision_score(truth, positive, pos_label=False)),
        (counts.concordance, (truth == positive).mean()),
    ):
        assert estimate is not None
        assert estimate.value == pytest.approx(value)
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_calibration_equals_scikit_learns(studies):
    truth, scores = studies
    # Halves of a bin's edge fall the other way in scikit-learn: none lies on one.
    scores = scores + 0.001
    scores = np.minimum(scores, 0.999)
    bins = calibration(truth, scores)
    share, probability = calibration_curve(truth, scores, n_bins=10, strategy="uniform")
    np.testing.assert_allclose([each.share for each in bins], share)
    np.testing.assert_allclose([each.probability for each in bins], probability)
    assert sum(each.studies for each in bins) == len(truth)
    error = calibration_error(truth, scores)
    weights = np.array([each.studies for each in bins]) / len(truth)
    assert error is not None
    assert error.value == pytest.approx(float(np.sum(weights * np.abs(share - probability))))
    assert error.low <= error.value <= error.high
    assert error == calibration_error(truth, scores)
    assert brier(truth, scores) == pytest.approx(brier_score_loss(truth, scores))


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_proportions_have_wilsons_interval(count, total, low, high):
    """Table I of Newcombe, Statistics in Medicine 17 (1998) 857."""
    estimate = proportion(count, total)
    assert estimate is not None
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=5e-5)


def test_intervals_of_areas_hold_the_true_area_19_times_in_20():
    random = np.random.default_rng(7)
    # Normal scores a distance d apart have an area of Phi(d / sqrt 2): 0.921 for d = 2.
    held = 0
    for _ in range(400):
        truth = np.arange(60) < 25
        area = auc(truth, random.normal(np.where(truth, 2.0, 0.0)))
        assert area is not None
        held += area.low <= 0.92135 <= area.high
    assert 0.92 <= held / 400 <= 0.985


def test_classes_that_are_apart_altogether_are_not_certain_to_be():
    truth = np.arange(20) < 10
    area = auc(truth, np.where(truth, 0.9, 0.1))
    assert area is not None
    assert (area.value, area.high) == (1.0, 1.0)
    assert 0.7 < area.low < 0.9


def test_of_what_is_not_there_nothing_is_told():
    none = np.zeros(0, bool)
    assert proportion(0, 0) is None
    assert auc(np.ones(5, bool), np.linspace(0, 1, 5)) is None
    assert calibration_error(none, np.zeros(0)) is None
    assert Counts.of(none, none).concordance is None


def test_predictive_values_follow_prevalence():
    assert predictive_values(0.9, 0.8, 0.5) == pytest.approx((0.9 / 1.1, 0.8 / 0.9))
    assert predictive_values(0.9, 0.8, 0.01) == pytest.approx((0.009 / 0.207, 0.792 / 0.793))
    assert predictive_values(0.0, 1.0, 0.1) == (None, pytest.approx(0.9))
    assert predictive_values(1.0, 0.0, 0.1) == (pytest.approx(0.1), None)


def test_bounds_of_a_share_are_wilsons():
    # (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 2.576, p = 0.1, n = 100
    z = 2.576
    middle, width = 0.1 + z**2 / 200, z * math.sqrt(0.0009 + z**2 / 40_000)
    expected = ((middle - width) / (1 + z**2 / 100), (middle + width) / (1 + z**2 / 100))
    assert wilson(10, 100, z) == pytest.approx(expected)
    assert wilson(0, 0) == (0.0, 1.0)
