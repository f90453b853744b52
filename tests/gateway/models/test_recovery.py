"""Reloads and restarts: when they are tried, and when they are left alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.errors import BackendDiedError
from gateway.models.recovery import ReloadTurn
from gateway.models.registry import ModelRegistry
from gateway.observability.metrics import Metrics
from gateway.triton.client import TritonClient
from tests.support.gateway import until
from tests.support.inference import ScriptedTriton, answers, indexed, never, refuses, serving

DEAD = refuses(grpc.StatusCode.INTERNAL, "Stub process 'brightness_0_0' is not healthy.")


class Host:
    """Notes that a restart was asked for; what has died in it the test says."""

    def __init__(self, *, restarts_silent: bool = True) -> None:
        self.restarts_silent = restarts_silent
        self.lost: frozenset[int] = frozenset()
        self.restarts = 0

    def lost_backends(self) -> frozenset[int]:
        return self.lost

    def backends_of(self, model_name: str) -> frozenset[int]:
        del model_name
        return frozenset()

    def end_backends(self, model_name: str, pids: frozenset[int]) -> None:
        raise AssertionError((model_name, pids))

    def restart(self) -> bool:
        self.restarts += 1
        return True


@asynccontextmanager
async def watched(
    triton: ScriptedTriton, host: Host, restart_after_s: float, **options: Any
) -> AsyncIterator[ModelRegistry]:
    """A registry that watches over this Triton."""
    async with serving(triton) as url:
        client = TritonClient(url, message_bytes=2**20)
        registry = ModelRegistry(
            client,
            Metrics(CollectorRegistry()),
            host=host,
            restart_after_s=restart_after_s,
            **{"refresh_s": 0.1, "probe_timeout_s": 1} | options,
        )
        task = asyncio.create_task(registry.watch())
        try:
            yield registry
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await client.close()


async def test_triton_is_restarted_again_and_again_while_no_model_answers():
    triton, host = ScriptedTriton(), Host()
    triton.infer = DEAD
    async with watched(triton, host, 1.0) as registry:
        await until(lambda: host.restarts >= 3)
        assert triton.calls.count("load") >= 3  # reloads go on beside
        triton.infer = ScriptedTriton().infer
        await until(registry.ready)


async def test_one_sick_model_of_two_is_reloaded_and_nothing_is_restarted():
    triton, host = ScriptedTriton(), Host()
    triton.index = answers(indexed(("brightness", "1", "READY"), ("sick", "1", "READY")))
    whole = triton.infer

    async def infer(request: Any, context: Any) -> Any:
        if request.model_name == "sick":
            await context.abort(grpc.StatusCode.INTERNAL, "Stub process 'sick_0' is not healthy.")
        return await whole(request, context)

    triton.infer = infer
    async with watched(triton, host, 1.0) as registry:
        await until(lambda: triton.calls.count("load") >= 3)  # at 0, 0.5 and 1.5 s
        assert registry.ready()
    assert host.restarts == 0


async def test_models_that_answer_wrongly_or_are_unloaded_ask_for_no_restart():
    triton, host = ScriptedTriton(), Host()
    triton.index = answers(
        indexed(("unloaded", "1", "UNAVAILABLE"), reason="unloaded"),
    )
    async with watched(triton, host, 1.0):
        await until(lambda: triton.calls.count("index") >= 5)
        triton.index = answers(indexed(("brightness", "1", "READY")))
        triton.infer = refuses(grpc.StatusCode.INTERNAL, "out of memory")  # refused
        await until(lambda: triton.calls.count("infer") >= 5)
    assert host.restarts == 0
    assert "load" not in triton.calls


@pytest.mark.parametrize(("restarts_silent", "least"), [(True, 1), (False, 0)])
async def test_silent_triton_is_restarted_only_by_who_knows_that_it_is_not_starting(
    restarts_silent: bool, least: int
):
    triton, host = ScriptedTriton(), Host(restarts_silent=restarts_silent)
    triton.index = refuses(grpc.StatusCode.UNAVAILABLE)
    async with watched(triton, host, 1.0):
        await until(lambda: triton.calls.count("index") >= 5 and host.restarts >= least)
    assert (host.restarts > 0) is restarts_silent


async def test_load_that_waits_for_a_process_that_died_is_told_and_not_waited_for():
    triton, host = ScriptedTriton(), Host()
    triton.infer, triton.load = DEAD, never
    with capture_logs() as events:
        async with watched(triton, host, 600.0):
            await until(lambda: "load" in triton.calls)
            host.lost = frozenset({4711})
            await until(lambda: host.restarts == 1)
    told = [
        event["event"] for event in events if event["event"].startswith(("model.rel", "triton"))
    ]
    assert told == ["model.reload_hung", "triton.restart"]
    assert "model.reload_refused" not in told


async def test_load_that_waits_for_a_dead_process_beside_a_model_that_answers_is_left_alone():
    triton, host = ScriptedTriton(), Host()
    triton.index = answers(indexed(("brightness", "1", "READY"), ("sick", "1", "UNAVAILABLE")))
    triton.load = never
    with capture_logs() as events:
        async with watched(triton, host, 1.0) as registry:
            await until(lambda: "load" in triton.calls)
            host.lost = frozenset({4711})
            await until(lambda: "model.reload_hung" in {event["event"] for event in events})
            count = triton.calls.count("infer")
            await until(lambda: triton.calls.count("infer") > count + 1)  # two looks later
            assert registry.ready()
    assert host.restarts == 0


class OneAtATime:
    """Turns of several processes, as their first one gives them."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._done = 0
        self.told: list[str] = []
        self.takes: list[Callable[[str], None]] = []

    @asynccontextmanager
    async def reload_turn(self, model_name: str) -> AsyncIterator[ReloadTurn]:
        del model_name
        before = self._done
        async with self._lock:
            turn = ReloadTurn(is_done=self._done > before)
            is_used = not turn.is_done
            yield turn
            self._done += is_used and turn.is_done

    def tell_loaded(self, model_name: str) -> None:
        self.told.append(model_name)

    def follow_loads(self, take: Callable[[str], None]) -> None:
        self.takes.append(take)


@asynccontextmanager
async def several(
    triton: ScriptedTriton, turns: OneAtATime, count: int
) -> AsyncIterator[list[ModelRegistry]]:
    """Registries of so many processes before one Triton."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(watched(triton, Host(), 600.0, others=turns))
            for _ in range(count)
        ]


async def test_of_several_processes_one_reloads_a_model_that_all_found_dead():
    triton = ScriptedTriton()
    triton.infer = DEAD
    loaded = triton.load

    async def load(request: Any, context: Any) -> Any:
        await asyncio.sleep(0.5)
        triton.infer = ScriptedTriton().infer
        return await loaded(request, context)

    triton.load = load
    turns = OneAtATime()
    async with several(triton, turns, 3) as registries:
        await until(lambda: all(registry.ready() for registry in registries))
    assert triton.calls.count("load") == 1


async def test_a_reload_that_failed_leaves_the_next_process_its_own():
    triton, turns = ScriptedTriton(), OneAtATime()
    triton.infer = DEAD
    loaded, whole = triton.load, ScriptedTriton().infer

    async def load(request: Any, context: Any) -> Any:
        if triton.calls.count("load") == 1:
            await asyncio.sleep(0.3)
            await context.abort(grpc.StatusCode.INTERNAL, "no room")
        triton.infer = whole
        return await loaded(request, context)

    triton.load = load
    async with several(triton, turns, 2) as registries:
        await until(lambda: all(registry.ready() for registry in registries))
    assert triton.calls.count("load") == 2


async def test_a_failure_from_before_another_process_reloaded_the_model_reloads_nothing():
    triton, others = ScriptedTriton(), OneAtATime()
    async with watched(triton, Host(), 600.0, others=others) as registry:
        await until(registry.ready)
        [state] = registry.states()
        assert state.served is not None
        began = time.monotonic()
        others.takes[0]("brightness")
        looks = triton.calls.count("index")
        registry.failed(state.served, BackendDiedError("its process died"), began)
        await until(lambda: triton.calls.count("index") >= looks + 2)
        assert "load" not in triton.calls
        registry.failed(state.served, BackendDiedError("its process died"), time.monotonic())
        await until(lambda: "load" in triton.calls)


async def test_a_model_that_was_loaded_by_request_is_told_to_the_other_processes():
    triton, others = ScriptedTriton(), OneAtATime()
    async with watched(triton, Host(), 600.0, others=others) as registry:
        await until(registry.ready)
        await registry.load("brightness")
    assert others.told == ["brightness"]


async def test_what_another_process_has_loaded_is_looked_at_at_once():
    triton, others = ScriptedTriton(), OneAtATime()
    async with watched(triton, Host(), 600.0, others=others, refresh_s=600.0) as registry:
        await until(registry.ready)
        triton.index = answers(indexed(("brightness", "1", "READY"), ("brightness", "2", "READY")))
        others.takes[0]("brightness")
        await until(lambda: len(registry.states()) == 2)
