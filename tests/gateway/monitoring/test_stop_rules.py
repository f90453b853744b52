"""Stop rules are broken by a health that is beyond one of their limits, and by no other."""

from typing import Any

import numpy as np
import pytest

from gateway.monitoring.counts import ReadingCounts, Tally
from gateway.monitoring.documents import ModelHealth
from gateway.monitoring.stop_rules import broken
from gateway.schemas.stop_rules import StopRule
from tests.support.monitoring import streamed

NEW = ModelHealth(model="m", version="1")


def cause(health: ModelHealth, **limits: Any) -> str | None:
    rule = StopRule.model_validate({"name": "r", "model": "m"} | limits)
    [(_, found)] = broken([rule], health)
    return found


@pytest.fixture(scope="module")
def drifted() -> ModelHealth:
    generator = np.random.default_rng(1)
    return streamed(streamed(NEW, generator, 1000), generator, 500, mean=0.7)


def judged(*, present: bool, right: int, wrong: int) -> ModelHealth:
    tally = Tally()
    for _ in range(right):
        tally.judge("p", positive=present, present=present)
    for _ in range(wrong):
        tally.judge("p", positive=not present, present=present)
    return NEW.model_copy(update={"truth": (tally.counts(),)})


def test_a_distance_is_held_to_its_lower_bound_and_evidence_to_its_value(drifted: ModelHealth):
    low = drifted.signals["mean"].low
    assert low is not None
    assert cause(drifted, signals={"mean": low + 0.01, "view": 0.1}) is None
    assert cause(drifted, signals={"mean": low - 0.01}) == (
        f"signal mean is {low:.3f}, its limit {low - 0.01:g}"
    )
    assert cause(drifted, signals={"unusual/mean": 10}) is not None
    assert cause(drifted, signals={"positive/pneumonia": 10, "near/pneumonia": 10}) is None


def test_a_rule_is_of_its_model_and_its_version_alone(drifted: ModelHealth):
    limits = {"signals": {"unusual/mean": 5}}
    rules = [
        StopRule.model_validate({"name": "r", "model": model, "version": version} | limits)
        for model, version in (("m", None), ("m", "1"), ("m", "2"), ("n", None))
    ]
    assert [rule for rule, found in broken(rules, drifted) if found] == rules[:2]


@pytest.mark.parametrize(
    ("limits", "counts", "found"),
    [
        ({"not_applicable_percent": 5}, {"readings": 99, "not_applicable": 99}, None),
        ({"not_applicable_percent": 5}, {"readings": 100, "not_applicable": 5}, None),
        (
            {"not_applicable_percent": 5},
            {"readings": 100, "not_applicable": 6},
            "6.0 percent of 100 readings not applicable, the limit 5",
        ),
        ({"failed_percent": 20}, {"readings": 80, "failed": 20}, None),
        (
            {"failed_percent": 20},
            {"readings": 0, "failed": 100},
            "100.0 percent of 100 readings failed, the limit 20",
        ),
    ],
)
def test_shares_of_the_latest_readings_are_held_to_their_limits(
    limits: dict[str, Any], counts: dict[str, int], found: str | None
):
    assert cause(NEW.model_copy(update={"block": ReadingCounts(**counts)}), **limits) == found


def test_truth_counts_once_there_is_enough_of_it_and_its_interval_lies_below():
    assert cause(judged(present=True, right=0, wrong=19), sensitivity=0.9) is None
    assert cause(judged(present=True, right=17, wrong=3), sensitivity=0.9) is None
    missed = judged(present=True, right=10, wrong=10)
    assert cause(missed, sensitivity=0.9) == (
        "sensitivity for p is 0.500 of 20 judgements, the least 0.9"
    )
    assert cause(missed, specificity=0.9) is None
    assert cause(judged(present=False, right=10, wrong=10), specificity=0.9) is not None


def test_a_judgement_that_was_replaced_is_taken_off_again():
    tally = Tally()
    tally.judge("p", positive=True, present=False)
    later = Tally()
    later.judge("p", positive=True, present=False, by=-1)
    later.judge("p", positive=True, present=True)
    health = NEW.model_copy(update={"truth": (tally.counts(), later.counts())})
    [cells] = health.judged().truth.values()
    assert (cells.true_positive, cells.false_positive, cells.judgements) == (1, 0, 1)
