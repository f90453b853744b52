"""A study is in one arm, whoever asks, and stays in the canary as its share grows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.canary import Arm, arm_of
from gateway.schemas.result import Mode
from gateway.schemas.routing_rules import RuleModel

STUDY_IDS = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", fullmatch=True)
PINNED = ["1", "2", "1", "2", "2", "2", "2", "1", "1", "2", "1", "2"]
LIVE, CANARY = Arm("cxr", "1", Mode.LIVE), Arm("cxr", "2", Mode.CANARY)


def model(percent: float, **changes: Any) -> RuleModel:
    canary = {"version": "2", "percent": percent} | changes
    return RuleModel.model_validate({"name": "cxr", "version": "1", "canary": canary})


@given(STUDY_IDS, st.floats(0, 100))
def test_a_study_is_in_one_arm_on_every_gateway(study_id: str, percent: float):
    assert {arm_of(model(percent), study_id) for _ in range(3)} <= {LIVE, CANARY}
    assert arm_of(model(percent), study_id) == arm_of(model(percent), study_id)


@given(STUDY_IDS, st.floats(0, 100), st.floats(0, 100))
def test_a_larger_share_takes_no_study_from_the_canary(study_id: str, one: float, other: float):
    small, large = sorted((one, other))
    if arm_of(model(small), study_id) == CANARY:
        assert arm_of(model(large), study_id) == CANARY


@given(STUDY_IDS)
def test_nothing_and_all_are_shares_too(study_id: str):
    assert arm_of(model(0), study_id) == LIVE
    assert arm_of(model(100), study_id) == CANARY


def test_the_arm_of_a_study_is_the_same_in_every_release():
    """Another hash would tear studies apart at an upgrade."""
    arms = [arm_of(model(50), f"CXR-2026-{number:06}").version for number in range(12)]
    assert arms == PINNED


def test_a_share_of_the_studies_is_that_share():
    count = sum(arm_of(model(10), f"CXR-{number}") == CANARY for number in range(10_000))
    assert 900 < count < 1100


def test_models_have_canaries_of_their_own_choosing():
    other = RuleModel.model_validate(
        {"name": "bones", "version": "1", "canary": {"version": "2", "percent": 50}}
    )
    together = sum(
        arm_of(model(50), f"S{number}").mode == arm_of(other, f"S{number}").mode
        for number in range(2000)
    )
    assert 850 < together < 1150


def test_another_model_may_be_the_canary():
    assert arm_of(model(100, name="dense"), "S1") == Arm("dense", "2", Mode.CANARY)


@pytest.mark.parametrize(
    "changes", [{"percent": 101}, {"percent": -1}, {"version": "1"}, {"version": None}]
)
def test_what_is_no_canary_is_refused(changes: dict[str, Any]):
    with pytest.raises(ValueError, match="canary"):
        model(**({"percent": 10} | changes))


def test_a_model_with_a_canary_names_its_version():
    with pytest.raises(ValueError, match="names its version"):
        RuleModel.model_validate({"name": "cxr", "canary": {"version": "2", "percent": 1}})
