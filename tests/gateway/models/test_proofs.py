"""A model is proved by its golden image; studies show it dead or alive."""

import asyncio
import time
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2

from gateway.errors import (
    BackendDiedError,
    InferenceUnavailableError,
)
from gateway.models.selection import State
from tests.gateway.models.registered import (
    DIED,
    Scripted,
    states,
    study,
    watched,
)
from tests.support.gateway import until
from tests.support.inference import (
    answers,
    brightness,
    configured,
    held_back,
    indexed,
    never,
    refuses,
)
from tests.support.models import contract

OVERLOADED = refuses(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")


async def test_busy_model_stays_ready_while_it_answers_studies(scripted: Scripted):
    triton, registry = scripted
    await registry.refresh()
    model = registry.select(study())
    for busy in (OVERLOADED, never):
        triton.infer = busy
        registry.answered(model)
        registry.doubt()  # one study failed among many that are read
        await registry.refresh()
        assert registry.ready()


@pytest.mark.parametrize("silent", [OVERLOADED, never])
async def test_model_that_answers_neither_probe_nor_study_is_not_ready(
    scripted: Scripted, silent: Any
):
    triton, registry = scripted
    await registry.refresh()
    assert registry.ready()
    triton.infer = silent
    await registry.refresh()
    assert not registry.ready()
    triton.infer = answers(brightness())
    await registry.refresh()
    assert registry.ready()


async def test_answered_study_does_not_spare_the_golden_image(scripted: Scripted):
    triton, registry = scripted
    await registry.refresh()
    registry.answered(registry.select(study()))
    triton.infer = answers(brightness(-3.0))  # as other weights would, under the same version
    await registry.refresh()
    assert not registry.ready()
    [state] = registry.states()
    assert state.state is State.REFUSED


async def test_changed_contract_is_taken_up_and_proved_again(scripted: Scripted):
    triton, registry = scripted
    await registry.refresh()
    registry.answered(registry.select(study()))
    triton.config = answers(configured(contract({"golden": {"probabilities": {"bright": 0.1}}})))
    await registry.refresh()
    assert states(registry)["brightness 1"][0] == "refused"
    assert not registry.ready()


async def test_golden_image_that_the_model_fails_on_refuses_it(scripted: Scripted):
    triton, registry = scripted
    triton.infer = refuses(grpc.StatusCode.INTERNAL, "out of memory")
    await registry.refresh()
    assert states(registry) == {"brightness 1": ("refused", "INTERNAL: out of memory")}


@pytest.mark.parametrize("logit", [float("nan"), float("inf")])
async def test_golden_image_that_gives_no_number_refuses_the_model(
    scripted: Scripted, logit: float
):
    triton, registry = scripted
    triton.infer = answers(brightness(logit))
    await registry.refresh()
    assert states(registry) == {"brightness 1": ("refused", "the output is not finite")}


async def test_server_that_refuses_to_reload_is_asked_all_the_same(scripted: Scripted):
    triton, registry = scripted
    triton.infer = refuses(grpc.StatusCode.INTERNAL, "Stub process 'x_0_0' is not healthy.")
    triton.load = refuses(grpc.StatusCode.UNAVAILABLE, "explicit model load is not allowed")
    async with watched(registry):
        # Each time that it was refused it is asked again.
        await until(lambda: triton.calls.count("load") >= 3)
    assert triton.calls.count("unload") >= 3
    assert states(registry)["brightness 1"][0] == "unavailable"


async def test_backend_that_a_study_met_dead_is_proof_enough_for_a_reload(scripted: Scripted):
    """As where Triton gives the studies to the dead instance, the golden images to the other."""
    triton, registry = scripted
    async with watched(registry):
        await until(registry.ready)
        model = registry.select(study())
        loading = asyncio.Event()
        triton.load = held_back(loading, answers(service_pb2.RepositoryModelLoadResponse()))
        died = BackendDiedError("the backend of brightness died", "brightness_1")
        registry.failed(model, died, time.monotonic())
        assert not registry.ready()  # before anything else is asked
        await until(lambda: "load" in triton.calls)
        assert triton.calls[triton.calls.index("unload") :].count("infer") == 0
        with pytest.raises(InferenceUnavailableError):
            registry.select(study())
        registry.failed(model, died, time.monotonic())  # a second study: one reload does for both
        loading.set()
        await until(registry.ready)
        registry.failed(model, died, 0.0)  # and a third, which was under way before it
        await registry.refresh()
        assert registry.ready()
    assert (triton.calls.count("unload"), triton.calls.count("load")) == (1, 1)


async def test_golden_image_that_was_under_way_when_a_backend_died_proves_nothing(
    scripted: Scripted,
):
    triton, registry = scripted
    await registry.refresh()
    model, whole = registry.select(study()), triton.infer
    asked, going_on = asyncio.Event(), asyncio.Event()

    async def infer(request: Any, context: Any) -> Any:
        asked.set()
        await going_on.wait()
        return await whole(request, context)

    triton.infer = infer
    registry.failed(model, DIED, time.monotonic())
    async with watched(registry):
        await asked.wait()  # after the reload
        triton.infer = never  # those that come later
        registry.failed(model, DIED, time.monotonic())
        triton.load = never
        going_on.set()
        await until(lambda: triton.calls.count("load") == 2)
        assert not registry.ready()


async def test_each_instance_reads_the_golden_image(scripted: Scripted):
    triton, registry = scripted
    config = configured(contract())
    config.config.instance_group[0].count = 3
    triton.config = answers(config)
    await registry.refresh()
    assert triton.calls == ["index", "config", "infer", "infer", "infer"]


async def test_reload_that_is_refused_after_the_unload_is_no_wish_of_somebodys(
    scripted: Scripted,
):
    triton, registry = scripted
    await registry.refresh()
    triton.load = refuses(grpc.StatusCode.INTERNAL, "no space left")
    registry.failed(registry.select(study()), BackendDiedError("died"), time.monotonic())
    triton.index = answers(indexed(("brightness", "1", "UNAVAILABLE"), reason="unloaded"))
    async with watched(registry):
        await until(lambda: triton.calls.count("load") >= 2)
        # Between two tries; while one is under way the model is being loaded.
        await until(lambda: states(registry) == {"brightness 1": ("unavailable", "not loaded")})
        assert triton.calls.count("unload") == 1


@pytest.mark.parametrize("state", ["LOADING", "UNLOADING"])
async def test_model_that_somebody_loads_or_unloads_is_left_alone(scripted: Scripted, state: str):
    triton, registry = scripted
    triton.index = answers(indexed(("brightness", "1", state)))
    async with watched(registry):
        await until(lambda: triton.calls.count("index") >= 3)
    assert set(triton.calls) == {"index"}
    assert states(registry) == {"brightness 1": ("unavailable", "being loaded")}


async def test_dead_graph_of_an_ensemble_is_reloaded_in_the_models_place(scripted: Scripted):
    triton, registry = scripted
    triton.index = answers(
        indexed(("brightness", "1", "READY"), ("brightness_u8_graph", "1", "UNAVAILABLE"))
    )
    asked: list[str] = []

    async def unload(request: Any, _context: Any) -> Any:
        asked.append(request.model_name)
        return service_pb2.RepositoryModelUnloadResponse()

    triton.unload = unload
    await registry.refresh()
    died = BackendDiedError("died", "brightness_u8_graph_0")
    async with watched(registry):
        registry.failed(registry.select(study()), died, time.monotonic())
        await until(lambda: asked != [])
    assert asked[0] == "brightness_u8_graph"
