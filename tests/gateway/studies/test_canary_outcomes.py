"""The watch over canaries is told of what they read and of what they could not."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from gateway.errors import (
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
)
from gateway.routing.canary import canary_key
from tests.gateway.studies.piped import WHITE, Parts, piped, routing
from tests.gateway.studies.test_taken_images import by_model, with_contracts
from tests.support.inference import ScriptedTriton, answers, indexed, refuses, serving
from tests.support.store import MemoryStore

Watched = tuple[ScriptedTriton, Parts]


def canary(**limits: Any) -> dict[str, Any]:
    roll_back = {"readings": 10} | limits
    second = {"name": "second", "version": "1", "percent": 100, "roll_back": roll_back}
    return {"name": "brightness", "version": "1", "canary": second}


async def breaches(parts: Parts) -> list[str]:
    return [reason for _, reason in await parts.canaries.breaches()]


@pytest.fixture
async def watched(objects: MemoryStore) -> AsyncIterator[Watched]:
    triton = ScriptedTriton()
    triton.index = answers(indexed(("brightness", "1", "READY"), ("second", "1", "READY")))
    triton.config = with_contracts()
    rule = {
        "name": "all",
        "when": {"all": []},
        "models": [canary(failed_percent=95, infer_ms=1e-6)],
    }
    async with serving(triton) as url, piped(url, objects, routing(rule)) as parts:
        yield triton, parts


async def test_readings_count_with_their_time(watched: Watched):
    _, parts = watched
    for _ in range(10):
        await parts.read(WHITE)
    [reason] = await breaches(parts)
    assert reason.endswith("the 95th percentile of 10")


async def test_failures_of_the_model_count(watched: Watched):
    triton, parts = watched
    triton.infer = by_model(second=refuses(grpc.StatusCode.INTERNAL))
    for _ in range(10):
        with pytest.raises(InferenceFailedError):
            await parts.read(WHITE)
    assert await breaches(parts) == ["100.0 percent of 10 readings failed"]


async def test_load_is_no_failure_of_the_model(watched: Watched):
    triton, parts = watched
    triton.infer = by_model(
        second=refuses(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    )
    for _ in range(10):
        with pytest.raises(InferenceOverloadedError):
            await parts.read(WHITE)
    assert await breaches(parts) == []


async def test_a_canary_that_fails_beside_another_model_counts(objects: MemoryStore):
    triton = ScriptedTriton()
    triton.index = answers(indexed(("brightness", "1", "READY"), ("second", "1", "READY")))
    triton.config = with_contracts()
    third = {"name": "third", "version": "1"}
    models = [
        {"name": "brightness", "version": "1"},
        third | {"canary": canary(failed_percent=50)["canary"]},
    ]
    rule = {"name": "all", "when": {"all": []}, "models": models}
    async with serving(triton) as url, piped(url, objects, routing(rule)) as parts:
        triton.infer = by_model(second=refuses(grpc.StatusCode.INTERNAL))
        for _ in range(10):
            assert (await parts.read(WHITE)).is_partial
    assert await breaches(parts) == ["100.0 percent of 10 readings failed"]


async def test_a_canary_that_is_away_counts_while_others_answer(objects: MemoryStore):
    triton = ScriptedTriton()
    triton.index = answers(indexed(("brightness", "1", "READY"), ("second", "1", "UNAVAILABLE")))
    triton.config = with_contracts()
    rule = {"name": "all", "when": {"all": []}, "models": [canary(failed_percent=50)]}
    async with serving(triton) as url, piped(url, objects, routing(rule)) as parts:
        for _ in range(10):
            with pytest.raises(InferenceUnavailableError):
                await parts.read(WHITE)
        [(model, reason)] = await parts.canaries.breaches()
        assert reason == "100.0 percent of 10 readings failed"
        parts.routing.rolled_back.add(canary_key(model))
        assert {reading.model.name for reading in (await parts.read(WHITE)).readings} == {
            "brightness"
        }


async def test_a_triton_that_is_away_is_no_fault_of_the_canary(objects: MemoryStore):
    triton = ScriptedTriton()
    triton.index = answers(indexed(("brightness", "1", "UNAVAILABLE"), ("second", "1", "LOADING")))
    triton.config = with_contracts()
    rule = {"name": "all", "when": {"all": []}, "models": [canary(failed_percent=50)]}
    async with serving(triton) as url, piped(url, objects, routing(rule)) as parts:
        for _ in range(10):
            with pytest.raises(InferenceUnavailableError):
                await parts.read(WHITE)
    assert await breaches(parts) == []
