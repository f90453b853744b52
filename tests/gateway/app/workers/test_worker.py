"""A worker does what the first process says, and tells it what it must know."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from structlog.testing import capture_logs

from gateway.app.workers.link import NO, YES, Kind, Link, Message, number_of, numbered
from gateway.app.workers.worker import WorkerServer
from gateway.app.workers.worker_process import Assignment
from gateway.delivery.storage_commitment import ReceivedReport
from gateway.observability.metrics.combined import read, written
from gateway.settings import HttpSettings, Settings
from tests.support.gateway import settings_for, until
from tests.support.workers import running_workers


@asynccontextmanager
async def a_worker(folder: Path) -> AsyncIterator[tuple[WorkerServer, Link, socket.socket]]:
    """A worker that has not started, the first process's end of its link, and its connections."""
    connections, taken = socket.socketpair()
    end, others = socket.socketpair()
    link, first = await Link.over(others), await Link.over(end)
    settings = settings_for("127.0.0.1:1", folder)
    assignment = Assignment(1, settings, has_triton=False)
    with connections, taken:
        yield WorkerServer(assignment, taken, link), first, connections
        asyncio.get_running_loop().remove_reader(taken)
    await link.close()
    await first.close()


async def said_to(first: Link) -> Message:
    message = await first.receive()
    assert message is not None
    return message


async def test_a_part_that_fails_is_told_once(tmp_path: Path):
    async with a_worker(tmp_path) as (server, first, _):
        assert not await server.on_tick(1)
        server.health.fail("sweep")
        for _ in range(2):
            await server.on_tick(1)
        server.place.give_metrics()
        assert await said_to(first) == Message(Kind.FAILED, b"sweep")
        assert (await said_to(first)).kind is Kind.METRICS


async def test_it_obeys(tmp_path: Path):
    async with a_worker(tmp_path) as (server, first, _):
        obeying = asyncio.create_task(server.obey())
        first.send(Kind.PING)
        first.send(Kind.GIVE_METRICS, numbered(5))
        assert (await said_to(first)).kind is Kind.PONG
        number, data = number_of((await said_to(first)).data)
        assert number == 5
        assert any(family.name == "radstream_workers" for family in read(data))
        assert not server.health.draining
        first.send(Kind.DRAIN)
        await until(lambda: server.health.draining)
        assert not server.should_exit
        first.send(Kind.QUIT)
        await until(lambda: server.should_exit and server.force_exit)
        await first.close()
        await obeying


async def test_metrics_of_all_are_asked_of_the_first_process(tmp_path: Path):
    async with a_worker(tmp_path) as (server, first, _):
        obeying = asyncio.create_task(server.obey())
        one, other = (asyncio.create_task(server.place.collected_metrics()) for _ in range(2))
        questions = [number_of((await said_to(first)).data)[0] for _ in range(2)]
        server.place.give_metrics()
        own = number_of((await said_to(first)).data)[1]
        for number in reversed(questions):
            first.send(Kind.ALL_METRICS, numbered(number, own))
        first.send(Kind.ALL_METRICS, numbered(99, written([])))  # nobody asked, or asks any more
        for asked in (one, other):
            assert {family.name for family in (await asked).collect()} >= {"radstream_workers"}
        await first.close()
        await obeying


async def test_a_turn_is_asked_for_and_ended(tmp_path: Path):
    async with a_worker(tmp_path) as (server, first, _):
        obeying = asyncio.create_task(server.obey())
        for answer, is_done_before, told in (
            (YES, False, YES),
            (NO, True, YES),  # of a turn that is not its own, which counts for nothing
        ):
            entering = server.place.reload_turn("model")
            task = asyncio.create_task(entering.__aenter__())
            asked = await said_to(first)
            number, name = number_of(asked.data)
            assert (asked.kind, name) == (Kind.ASK_TURN, b"model")
            first.send(Kind.TURN, numbered(number, answer))
            turn = await task
            assert turn.is_done is is_done_before
            turn.is_done = True
            await entering.__aexit__(None, None, None)
            if answer == YES:
                assert await said_to(first) == Message(Kind.LOADED, b"model")
            ended = numbered(number, told + b"model")
            assert await said_to(first) == Message(Kind.END_TURN, ended)
        await first.close()
        await obeying


async def test_a_turn_that_nobody_waits_for_any_more_goes_back(tmp_path: Path):
    async with a_worker(tmp_path) as (server, first, _):
        obeying = asyncio.create_task(server.obey())
        task = asyncio.create_task(server.place.reload_turn("model").__aenter__())
        number, _ = number_of((await said_to(first)).data)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        given_up = Message(Kind.END_TURN, numbered(number, NO + b"model"))
        assert await said_to(first) == given_up  # it may have been its turn by then
        first.send(Kind.TURN, numbered(number, YES))
        await first.close()
        await obeying


async def test_models_that_others_have_loaded_are_told(tmp_path: Path):
    async with a_worker(tmp_path) as (server, first, _):
        obeying = asyncio.create_task(server.obey())
        loaded: list[str] = []
        first.send(Kind.LOADED, b"early")  # nobody follows yet
        first.send(Kind.PING)
        await said_to(first)
        server.place.follow_loads(loaded.append)
        first.send(Kind.LOADED, b"model")
        await until(lambda: loaded == ["model"])
        await first.close()
        await obeying


async def test_reports_that_nobody_waits_for_here_are_passed_on(tmp_path: Path):
    report = ReceivedReport("1.2.3", frozenset({"1.2.3.4"}), {"1.2.3.5": 0x0112, "1.2.3.6": None})
    async with a_worker(tmp_path) as (server, first, _):
        obeying = asyncio.create_task(server.obey())
        reports = server.place.commitment_reports
        assert not reports.has("1.2.3")
        with reports.awaiting("1.2.3") as awaited:
            assert reports.take(report)
            assert awaited.result(0) == report
        assert not await asyncio.to_thread(reports.take, report)
        passed = await said_to(first)
        assert passed.kind is Kind.REPORT
        assert ReceivedReport.read(passed.data) == report
        with reports.awaiting("1.2.3") as awaited:
            first.send(*passed)
            assert await asyncio.wrap_future(awaited) == report
        await first.close()
        await obeying


async def test_one_that_cannot_obey_any_more_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_worker(tmp_path) as (server, first, _):

        def failing(_question: int) -> None:
            raise RuntimeError("a gauge's function")

        monkeypatch.setattr(server.place, "give_metrics", failing)
        first.send(Kind.GIVE_METRICS, numbered(1))
        with capture_logs() as said:
            await server.obey()
        assert server.should_exit
        assert [event["event"] for event in said] == ["worker.deaf"]


async def test_the_end_of_the_first_process_is_its_end(tmp_path: Path):
    async with a_worker(tmp_path) as (server, first, _):
        obeying = asyncio.create_task(server.obey())
        await first.close()
        await obeying
        assert server.should_exit


async def test_a_connection_that_it_cannot_take_is_told_as_closed(tmp_path: Path):
    async with a_worker(tmp_path) as (server, first, connections):
        server.on_started()
        assert (await said_to(first)).kind is Kind.READY
        connections.send(b"c")  # as the kernel passes it where too many files are open
        assert await said_to(first) == Message(Kind.CLOSED, b"1")


async def test_the_end_of_connections_is_its_end(tmp_path: Path):
    async with a_worker(tmp_path) as (server, first, connections):
        server.on_started()
        assert (await said_to(first)).kind is Kind.READY
        connections.close()
        await until(lambda: server.should_exit)
        assert server.health.draining


@pytest.mark.server
async def test_a_connection_without_tls_is_closed_and_not_counted_as_open(tmp_path: Path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    [chain, *_] = issued.cert_chain_pems
    (tmp_path / "tls.crt").write_bytes(chain.bytes())
    (tmp_path / "tls.key").write_bytes(issued.private_key_pem.bytes())
    http = HttpSettings(
        port=0,
        workers=2,
        tls_certificate=tmp_path / "tls.crt",
        tls_key=tmp_path / "tls.key",
    )
    settings: Settings = settings_for("127.0.0.1:1", tmp_path / "store")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with running_workers(settings.model_copy(update={"http": http})) as live:
        assert live.url.startswith("https://")
        port = int(live.url.rpartition(":")[2])
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(asyncio.IncompleteReadError):
                await reader.readexactly(2**16)
            writer.close()
        await until(lambda: set(live.open_connections().values()) == {0})
        async with httpx.AsyncClient(verify=trusting, trust_env=False) as client:
            assert (await client.get(f"{live.url}/livez")).status_code == 200
            assert sum(live.open_connections().values()) == 1


@pytest.mark.server
async def test_a_broken_certificate_is_told_by_the_first_process(tmp_path: Path):
    (tmp_path / "tls.crt").write_text("no certificate")
    (tmp_path / "tls.key").write_text("no key")
    http = HttpSettings(
        port=0,
        workers=2,
        tls_certificate=tmp_path / "tls.crt",
        tls_key=tmp_path / "tls.key",
    )
    settings = settings_for("127.0.0.1:1", tmp_path / "store")
    with pytest.raises(Exception, match="they are no PEM"):
        async with running_workers(settings.model_copy(update={"http": http})):
            pass
