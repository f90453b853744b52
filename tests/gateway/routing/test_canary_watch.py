"""Canaries are held to the limits of the document, once there are enough readings."""

import datetime as dt
from typing import Any

import pytest

from gateway.routing.canary import canary_key
from gateway.routing.canary_watch import CanaryWatch
from gateway.routing.conditions import Facts
from gateway.routing.in_force import Routing
from gateway.schemas.result import Mode
from gateway.schemas.routing import RoutingDocument

ALL = {"name": "all", "when": {"all": []}}


def model(**limits: Any) -> dict[str, Any]:
    canary = {"version": "2", "percent": 100, "roll_back": {"readings": 10} | limits}
    return {"name": "cxr", "version": "1", "canary": canary}


def document(*models: dict[str, Any]) -> RoutingDocument:
    rules = [ALL | {"models": models}]
    return RoutingDocument.model_validate({"schema": "radstream.routing/1", "rules": rules})


def watched(**limits: Any) -> tuple[Routing, CanaryWatch, list[str]]:
    routing, told = Routing(document(model(**limits))), list[str]()
    watch = CanaryWatch(routing)
    watch.on_breach = lambda _, reason: told.append(reason)
    return routing, watch, told


def read(watch: CanaryWatch, times: int, **outcome: Any) -> None:
    for _ in range(times):
        watch.read("cxr", "2", **({"not_applicable": False, "infer_ms": 10.0} | outcome))


def test_failures_count_once_there_are_enough_readings():
    routing, watch, told = watched(failed_percent=20)
    for _ in range(3):
        watch.failed("cxr", "2")
    read(watch, 6)
    assert told == []
    read(watch, 1)
    assert told == ["30.0 percent of 10 readings failed"]
    assert len(routing.rolled_back) == 1
    watch.failed("cxr", "2")
    assert len(told) == 1


def test_the_latest_readings_count_alone():
    _, watch, told = watched(failed_percent=20)
    for _ in range(3):
        watch.failed("cxr", "2")
        read(watch, 10)
    assert told == []


def test_a_canary_that_is_not_applicable_or_slow_is_told():
    _, watch, told = watched(not_applicable_percent=10)
    read(watch, 8)
    read(watch, 2, not_applicable=True)
    assert told == ["not applicable to 20.0 percent of 10 images"]
    _, watch, told = watched(infer_ms=50)
    read(watch, 9)
    read(watch, 1, infer_ms=51.0)
    assert told == ["inference took 51.0 ms, the 95th percentile of 10"]


def test_agreement_is_that_of_the_version_in_shadow_with_the_one_in_whose_place_it_reads():
    _, watch, told = watched(kappa=0.6, readings=20)
    for shown in ("1", "3"):
        for number in range(20):
            verdicts = (number % 2 == 0, number < 10)
            watch.compared(("cxr", "2"), ("cxr", shown), "pneumonia", verdicts)
    # Observed 10 of 20, by chance a half.
    assert told == ["kappa 0.000 of 20 findings of pneumonia"]


def test_few_positive_findings_say_nothing_of_agreement():
    _, watch, told = watched(kappa=0.6)
    for number in range(100):
        watch.compared(("cxr", "2"), ("cxr", "1"), "pneumonia", (number % 10 == 0, False))
    assert told == []


def test_an_edit_gives_the_canary_its_share_again():
    routing, watch, _ = watched(failed_percent=0)
    read(watch, 9)
    watch.failed("cxr", "2")
    routing.replace(document(model(failed_percent=1)))
    [canary] = watch.canaries
    assert canary_key(canary) not in routing.rolled_back
    routing.replace(document(model(failed_percent=0)))
    [canary] = watch.canaries
    assert canary_key(canary) in routing.rolled_back


def test_a_canary_that_is_rolled_back_reads_no_study():
    routing, watch, _ = watched(failed_percent=0)
    facts = Facts({"study_id": "S1"}, dt.datetime.now(dt.UTC), "rest", "a")
    assert [arm.mode for arm in routing.routes.rules.decide(facts).models] == [Mode.CANARY]
    read(watch, 9)
    watch.failed("cxr", "2")
    assert [arm.mode for arm in routing.routes.rules.decide(facts).models] == [Mode.LIVE]


@pytest.mark.parametrize("limits", [{}, {"failed_percent": 100}, {"kappa": 2}, {"readings": 1}])
def test_what_is_no_limit_is_refused(limits: dict[str, Any]):
    with pytest.raises(ValueError, match="roll_back"):
        document(model(**limits))
