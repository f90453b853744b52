"""A worker that does not do its part costs its first process no wait."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.app.workers import worker_process
from gateway.app.workers.link import Kind, Link, Message, number_of, numbered
from gateway.app.workers.worker_process import WorkerProcess
from gateway.observability.metrics.combined import Family, written

_FAMILY = Family("studies", "", "counter", "", "livesum", [])
_GAUGE = Family("workers", "", "gauge", "", "livesum", [])


@asynccontextmanager
async def a_process(command: str) -> AsyncIterator[tuple[WorkerProcess, Link, socket.socket]]:
    """A process that stands for a worker's, the worker's end of the link, and its connections."""
    process = await asyncio.create_subprocess_exec("sh", "-c", command)
    connections, taken = socket.socketpair()
    connections.setblocking(False)
    own, others = socket.socketpair()
    link = await Link.over(others)
    worker = WorkerProcess(1, await Link.over(own), process, connections, is_ready=True)
    with taken:
        yield worker, link, taken
    worker.kill()
    await link.close()
    await worker.ended()


async def test_connections_are_counted_until_nobody_takes_them():
    async with a_process("sleep 60") as (worker, _, taken):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            assert worker.hand_over(listener)
            assert (worker.open_connections, worker.given) == (1, 1)
            [_, [descriptor], *_] = socket.recv_fds(taken, 1, 1)
            with socket.socket(fileno=descriptor) as same:
                assert same.getsockname() == listener.getsockname()
            while worker.hand_over(listener):
                assert worker.given < 100_000  # the way to a worker that takes none is bounded
            worker.retire()
            assert not worker.hand_over(listener)


async def test_its_metrics_are_those_it_gave_last_where_it_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(worker_process, "_GIVES_METRICS_S", 0.05)
    async with a_process("sleep 60") as (worker, link, _):
        assert await worker.give_metrics() == []
        message = await link.receive()
        assert message is not None
        number, _ = number_of(message.data)
        worker.take_metrics(Message(Kind.METRICS, numbered(number, written([_FAMILY]))))  # late
        assert await worker.give_metrics() == [_FAMILY]
        asked = asyncio.create_task(worker.give_metrics())
        await link.receive()
        message = await link.receive()
        assert message is not None
        number, _ = number_of(message.data)
        worker.take_metrics(Message(Kind.METRICS, numbered(number, written([_FAMILY] * 2))))
        assert await asked == [_FAMILY] * 2


async def test_one_that_starts_or_ends_is_not_asked_for_its_metrics():
    async with a_process("sleep 60") as (worker, _, _):
        worker.metrics = [_FAMILY, _GAUGE]
        worker.is_ready = False
        assert await worker.give_metrics() == [_FAMILY]


async def test_who_waits_for_its_metrics_is_answered_at_its_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_process, "_GIVES_METRICS_S", 600)
    async with a_process("true") as (worker, link, _):
        asked = asyncio.create_task(worker.give_metrics())
        await link.receive()
        assert await worker.ended() == 0
        assert await asked == []


async def test_a_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_process, "_ENDS_S", 0.05)
    async with a_process("exec sleep 600") as (worker, _, _):
        assert await worker.ended() == -9
        with pytest.raises(ProcessLookupError):
            os.kill(worker.pid, 0)
        worker.kill()
