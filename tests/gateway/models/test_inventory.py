"""Models come and go in the repository."""

from typing import Any

import grpc

from gateway.models.selection import State
from tests.gateway.models.registered import READY, Scripted, states
from tests.support.inference import (
    answers,
    indexed,
)


async def test_model_that_is_gone_from_the_index_is_forgotten(scripted: Scripted):
    triton, registry = scripted
    triton.index = answers(indexed(("brightness", "1", "READY"), ("brightness", "2", "READY")))
    await registry.refresh()
    assert list(states(registry)) == ["brightness 1", "brightness 2"]
    triton.index = answers(indexed(("brightness", "1", "READY")))
    await registry.refresh()
    assert states(registry) == {"brightness 1": READY}
    triton.index = answers(indexed())
    await registry.refresh()
    assert (states(registry), registry.ready()) == ({}, False)


async def test_model_unloaded_between_two_questions_costs_only_itself(scripted: Scripted):
    triton, registry = scripted
    triton.index = answers(indexed(("brightness", "1", "READY"), ("gone", "1", "READY")))
    whole = triton.config

    async def config(request: Any, context: Any) -> Any:
        if request.name == "gone":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
        return await whole(request, context)

    triton.config = config
    await registry.refresh()
    assert states(registry)["brightness 1"] == READY
    assert states(registry)["gone 1"][0] == State.UNAVAILABLE
    assert registry.ready()
