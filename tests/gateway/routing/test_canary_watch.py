"""Canaries are held to the limits of the document by the readings of all gateways."""

import datetime as dt
from typing import Any

import pytest

from gateway.errors import StoreUnavailableError
from gateway.routing.canary import canary_key
from gateway.routing.canary_watch import CanaryWatch
from gateway.routing.conditions import Facts
from gateway.routing.in_force import Routing
from gateway.schemas.result import Mode
from gateway.schemas.routing import RoutingDocument
from tests.support.store import AwayStore, MemoryStore

ALL = {"name": "all", "when": {"all": []}}


def model(**limits: Any) -> dict[str, Any]:
    canary = {"version": "2", "percent": 100, "roll_back": {"readings": 10} | limits}
    return {"name": "cxr", "version": "1", "canary": canary}


def document(*models: dict[str, Any]) -> RoutingDocument:
    rules = [ALL | {"models": models}]
    return RoutingDocument.model_validate({"schema": "radstream.routing/1", "rules": rules})


def watched(objects: MemoryStore, **limits: Any) -> tuple[Routing, CanaryWatch]:
    routing = Routing(document(model(**limits)))
    return routing, CanaryWatch(routing, objects)


def read(watch: CanaryWatch, times: int, **outcome: Any) -> None:
    for _ in range(times):
        watch.read("cxr", "2", **({"not_applicable": False, "infer_ms": 10.0} | outcome))


def fail(watch: CanaryWatch, times: int = 1) -> None:
    for _ in range(times):
        watch.failed("cxr", "2")


async def told(watch: CanaryWatch) -> list[str]:
    return [reason for _, reason in await watch.breaches()]


async def roll_back(routing: Routing, watch: CanaryWatch) -> None:
    for each, _ in await watch.breaches():
        routing.rolled_back.add(canary_key(each))


async def test_the_readings_of_all_gateways_are_judged_together():
    objects = MemoryStore()
    _, one = watched(objects, failed_percent=20)
    _, other = watched(objects, failed_percent=20)
    fail(one, 2)
    read(one, 4)
    assert await told(one) == []
    fail(other)
    read(other, 3)
    assert await told(other) == ["30.0 percent of 10 readings failed"]
    assert await told(one) == []  # it has nothing to add
    read(one, 1)
    assert await told(one) == []  # of the latest ten two failed
    fail(one, 2)
    assert await told(one) == ["30.0 percent of 10 readings failed"]


async def test_gateways_that_add_at_the_same_time_lose_nothing():
    class Racing(MemoryStore):
        """Lets another gateway add its readings before each of the first swaps."""

        others: list[CanaryWatch] = []  # noqa: RUF012 - of this test

        async def swap(self, *args: Any, **kwargs: Any) -> str | None:
            if self.others:
                await self.others.pop().breaches()
            return await super().swap(*args, **kwargs)

    objects = Racing()
    watches = [watched(objects, failed_percent=99)[1] for _ in range(4)]
    for watch in watches:
        fail(watch, 3)
    objects.others = watches[1:]
    assert await told(watches[0]) == ["100.0 percent of 10 readings failed"]


async def test_a_store_that_is_away_costs_no_reading():
    objects = AwayStore()
    _, watch = watched(objects, failed_percent=20)
    fail(watch, 10)
    objects.is_away = True
    with pytest.raises(StoreUnavailableError):
        await watch.breaches()
    objects.is_away = False
    assert await told(watch) == ["100.0 percent of 10 readings failed"]


async def test_many_new_readings_are_told_at_once():
    _, watch = watched(MemoryStore(), failed_percent=20)
    calls = list[None]()
    watch.on_many = lambda: calls.append(None)
    read(watch, 9)
    assert calls == []
    read(watch, 1)
    assert len(calls) == 1


async def test_agreement_is_that_of_the_version_in_shadow_with_the_one_in_whose_place_it_reads():
    _, watch = watched(MemoryStore(), kappa=0.6, readings=20)
    for shown in ("1", "3"):
        for number in range(20):
            verdicts = (number % 2 == 0, number < 10)
            watch.compared(("cxr", "2"), ("cxr", shown), "pneumonia", verdicts)
    # Observed 10 of 20, by chance a half.
    assert await told(watch) == ["kappa 0.000 of 20 findings of pneumonia"]


async def test_an_edit_gives_the_canary_its_share_again():
    routing, watch = watched(MemoryStore(), failed_percent=0)
    read(watch, 9)
    fail(watch)
    await roll_back(routing, watch)
    routing.replace(document(model(failed_percent=1)))
    [canary] = watch.canaries
    assert canary_key(canary) not in routing.rolled_back
    routing.replace(document(model(failed_percent=0)))
    [canary] = watch.canaries
    assert canary_key(canary) in routing.rolled_back


async def test_a_canary_that_is_rolled_back_reads_no_study():
    routing, watch = watched(MemoryStore(), failed_percent=0)
    facts = Facts({"study_id": "S1"}, dt.datetime.now(dt.UTC), "rest", "a")
    assert [arm.mode for arm in routing.routes.rules.decide(facts).models] == [Mode.CANARY]
    read(watch, 9)
    fail(watch)
    await roll_back(routing, watch)
    assert [arm.mode for arm in routing.routes.rules.decide(facts).models] == [Mode.LIVE]
    fail(watch, 10)
    assert await told(watch) == []


@pytest.mark.parametrize("limits", [{}, {"failed_percent": 100}, {"kappa": 2}, {"readings": 1}])
def test_what_is_no_limit_is_refused(limits: dict[str, Any]):
    with pytest.raises(ValueError, match="roll_back"):
        document(model(**limits))
