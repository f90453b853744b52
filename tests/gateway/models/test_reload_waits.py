"""Waits for a reload are bounded."""

import asyncio
import time

import pytest
from tritonclient.grpc import service_pb2

from gateway.errors import BackendDiedError
from gateway.runtime.deadline import Deadline
from tests.gateway.models.registered import DIED, registered, study, watched
from tests.support.gateway import until
from tests.support.inference import (
    ScriptedTriton,
    answers,
    held_back,
    serving,
)


async def test_those_who_wait_for_a_reload_are_bounded_and_leave_their_places():
    triton, loading = ScriptedTriton(), asyncio.Event()
    triton.load = held_back(loading, answers(service_pb2.RepositoryModelLoadResponse()))
    async with (
        serving(triton) as url,
        registered(url, waiting_limit=1) as registry,
        watched(registry),
    ):
        await until(registry.ready)
        model, died, deadline = registry.select(study()), DIED, Deadline.after(60)
        registry.failed(model, died, time.monotonic())
        first = asyncio.create_task(registry.outlast_reload(model, died, deadline))
        await until(lambda: "load" in triton.calls)
        with pytest.raises(BackendDiedError):
            await registry.outlast_reload(model, died, deadline)
        first.cancel()  # its sender has left
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(registry.outlast_reload(model, died, deadline))
        loading.set()
        await second
        assert registry.ready()
