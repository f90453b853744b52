"""A changed share is noticed soon, and one as it ever was is not."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from gateway.acceptance.statistics import Z_99, wilson
from gateway.monitoring.cusum import LIMIT, SHIFT, Evidence, ShareWatch


def run(watch: ShareWatch, share: float, readings: int, *, seed: int) -> int | None:
    """The number of readings until an alarm; None if there is none."""
    generator, evidence = np.random.default_rng(seed), Evidence()
    for number in range(1, readings + 1):
        evidence = watch.after(evidence, int(generator.random() < share), 1)
        if max(evidence.rise, evidence.fall) >= LIMIT:
            return number
    return None


def test_evidence_is_the_logarithm_of_the_likelihoods_ratio():
    watch = ShareWatch((300, 1000))
    _, high = wilson(300, 1000, Z_99)
    found, n = 14, 20
    truth = [1] * found + [0] * (n - found)
    usual, changed = ([[1 - share, share]] * n for share in (high, high + SHIFT))
    expected = n * (log_loss(truth, usual) - log_loss(truth, changed))
    assert watch.after(Evidence(), found, n).rise == pytest.approx(expected)


def test_readings_in_one_minute_count_as_much_as_one_by_one():
    watch, evidence = ShareWatch((300, 1000)), Evidence()
    for _ in range(12):
        evidence = watch.after(evidence, 1, 1)
    assert watch.after(Evidence(), 12, 12).rise == pytest.approx(evidence.rise)


@pytest.mark.parametrize(("share", "most"), [(0.5, 600), (0.9, 100), (0.1, 600)])
def test_a_change_is_noticed(share: float, most: int):
    found = [run(ShareWatch((300, 1000)), share, 5000, seed=seed) for seed in range(5)]
    assert all(each is not None and each <= most for each in found)


@pytest.mark.parametrize("counted", [280, 300, 320])
def test_a_share_as_it_was_is_no_alarm_though_its_reference_was_a_sample(counted: int):
    for seed in range(3):
        assert run(ShareWatch((counted, 1000)), 0.3, 10_000, seed=seed) is None


def test_a_share_that_never_was_is_noticed_within_a_few_readings():
    assert run(ShareWatch((0, 1000)), 1.0, 100, seed=1) == 4


def test_what_only_rises_or_has_nowhere_to_fall_gives_no_evidence_of_a_fall():
    assert ShareWatch((500, 1000), falls=False).after(Evidence(), 0, 500).fall == 0
    assert ShareWatch((5, 1000)).after(Evidence(), 0, 5000).fall == 0


def test_evidence_goes_when_the_share_is_as_before():
    watch = ShareWatch((300, 1000))
    alarmed = watch.after(Evidence(), 100, 100)
    assert alarmed.rise == LIMIT
    assert watch.after(alarmed, 60, 300).rise == 0
