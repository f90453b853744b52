"""Each change of a model's state is logged once, counted and dated."""

import asyncio
import math

import structlog
from prometheus_client import CollectorRegistry

from gateway.models.selection import ModelState, State
from gateway.models.states import ModelStates
from gateway.observability.metrics import Metrics

READY, AWAY = ModelState("a", "1", State.READY), ModelState("a", "1", State.UNAVAILABLE, "away")
KEY = ("a", "1")


def states() -> tuple[ModelStates, Metrics]:
    metrics = Metrics(CollectorRegistry())
    return ModelStates(metrics), metrics


def readiness(metrics: Metrics) -> float | None:
    labels = {"model": "a", "version": "1"}
    return metrics.registry.get_sample_value("radstream_model_ready", labels)


def test_a_state_that_stays_is_logged_once():
    table, metrics = states()
    with structlog.testing.capture_logs() as logs:
        for state in (READY, READY, AWAY, AWAY, READY):
            table.note(state)
    assert [line["event"] for line in logs] == ["model.ready", "model.unavailable", "model.ready"]
    assert readiness(metrics) == 1


def test_only_a_ready_model_can_be_lost():
    table, _ = states()
    table.note(AWAY)
    assert table.lost_for_s(KEY) == math.inf
    table.note(READY)
    table.note(AWAY)
    assert table.lost_for_s(KEY) < 60


def test_losing_all_that_is_ready_leaves_the_others_reasons():
    table, metrics = states()
    refused = ModelState("b", "1", State.REFUSED, "no contract")
    table.note(READY)
    table.note(refused)
    table.lose_ready("Triton does not answer")
    assert table.all() == [
        ModelState("a", "1", State.UNAVAILABLE, "Triton does not answer"),
        refused,
    ]
    assert not table.is_ready(KEY)
    assert readiness(metrics) == 0


def test_a_dropped_model_leaves_no_series_behind():
    table, metrics = states()
    table.note(READY)
    table.drop(KEY)
    assert (table.get(KEY), readiness(metrics), table.all()) == (None, None, [])


async def test_all_who_wait_are_woken_by_one_look_and_wait_for_the_next_again():
    table, _ = states()
    waiting = [asyncio.create_task(table.wait_for_look()) for _ in range(3)]
    await asyncio.sleep(0)
    table.end_look()
    await asyncio.gather(*waiting)
    late = asyncio.create_task(table.wait_for_look())
    await asyncio.sleep(0)
    assert not late.done()
    table.end_look()
    await late
