"""One address and several processes behind it: even, summed, and whole again after each death."""

import asyncio
import signal
import socket
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from structlog.testing import capture_logs

from gateway.access.callers import Scope
from gateway.app.errors import AddressUnavailableError, StartError
from gateway.app.workers import supervisor, worker_process
from gateway.app.workers.link import Kind, Message
from gateway.app.workers.supervisor import Supervisor
from gateway.app.workers.supervisor_metrics import SupervisorMetrics
from gateway.settings import AccessSettings, ConsoleSettings, HttpSettings, Settings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import add_key
from tests.support.gateway import (
    metric,
    running_command,
    settings_for,
    stored_in,
    suspended,
    until,
)
from tests.support.processes import descendants, is_alive, stopped
from tests.support.workers import LiveWorkers, running_workers, send

pytestmark = pytest.mark.server
NOBODY = "127.0.0.1:1"


def workers_of(triton_url: str, folder: Path, count: int = 2, **http: object) -> Settings:
    settings = settings_for(triton_url, folder)
    return settings.model_copy(update={"http": HttpSettings(port=0, workers=count, **http)})  # type: ignore[arg-type]


async def test_connections_are_even_and_metrics_are_of_all(triton: EmbeddedTriton, tmp_path: Path):
    async with running_workers(workers_of(triton.grpc_url, tmp_path, 3)) as live:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(live.client()) for _ in range(6)]
            answers = await asyncio.gather(*(send(client) for client in clients))
            assert [answer.status_code for answer in answers] == [200] * 6
            assert live.open_connections() == {1: 2, 2: 2, 3: 2}
            text = (await clients[0].get("/metrics")).text
            completed = {"route": "rest", "outcome": "completed"}
            assert metric(text, "radstream_studies_total", **completed) == 6
            assert metric(text, "radstream_workers") == 3
            assert metric(text, "radstream_admission_limit_studies") == 200
            for answer in answers:  # wherever it was read, each process tells of it
                path = f"/v1/studies/{answer.json()['study_id']}"
                found = [(await client.get(path)).json() for client in clients]
                assert found == [answer.json()] * 6
        await until(lambda: set(live.open_connections().values()) == {0})


async def test_a_worker_that_dies_is_replaced_and_no_count_falls(
    triton: EmbeddedTriton, tmp_path: Path
):
    async with running_workers(workers_of(triton.grpc_url, tmp_path)) as live:
        completed = {"route": "rest", "outcome": "completed"}
        for _ in range(4):
            async with live.client() as client:
                assert (await send(client)).status_code == 200
        assert await live.metric("radstream_studies_total", **completed) == 4
        for number in (1, 2):
            live.process(number).kill()
            for _ in range(4):  # the other one serves meanwhile
                async with live.client() as client:
                    assert (await client.get("/livez")).status_code == 200
            await live.all_ready()
            assert await live.metric("radstream_studies_total", **completed) == 4
        assert await live.metric("radstream_worker_deaths_total") == 2
        async with live.client() as client:
            assert (await send(client)).status_code == 200


async def test_connections_wait_while_no_worker_is_there(tmp_path: Path):
    async with running_workers(workers_of(NOBODY, tmp_path)) as live:
        for number in (1, 2):
            live.process(number).kill()
        await until(lambda: not live.supervisor._workers)
        async with live.client() as client:
            assert (await client.get("/livez")).status_code == 200


async def test_a_worker_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(supervisor, "_PING_S", 0.1)
    monkeypatch.setattr(supervisor, "_MOST_PINGS_AT_START", 1200)
    async with running_workers(workers_of(NOBODY, tmp_path)) as live:
        with capture_logs() as said, stopped(live.process(2)):
            await until(lambda: any(event["event"] == "worker.died" for event in said))
            [died] = [event for event in said if event["event"] == "worker.died"]
            assert died["worker"] == 2
            assert "did not answer" in died["reason"]
        await live.all_ready()


async def test_metrics_do_not_wait_for_a_worker_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(worker_process, "_GIVES_METRICS_S", 0.1)
    async with running_workers(workers_of(NOBODY, tmp_path)) as live, live.client() as client:
        assert metric((await client.get("/metrics")).text, "radstream_workers") == 2
        [number] = [number for number, count in live.open_connections().items() if not count]
        with stopped(live.process(number)):  # what it said last stands for it
            assert metric((await client.get("/metrics")).text, "radstream_workers") == 2


async def test_a_study_in_flight_is_finished_and_the_end_is_a_success(
    triton: EmbeddedTriton, tmp_path: Path
):
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_HTTP__WORKERS": "2",
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_STORE__FOLDER": str(tmp_path),
    }
    async with running_command("serve", **variables) as command:
        async with httpx.AsyncClient(base_url=await command.url(), trust_env=False) as client:

            async def is_inferring() -> bool:
                text = (await client.get("/metrics")).text
                return metric(text, "radstream_stage_seconds_count", stage="tensor") == 1

            with suspended(triton):
                study = asyncio.create_task(send(client))
                await until(is_inferring)
                # As a terminal does: to all processes at once.
                for process in descendants(command.pid, "python"):
                    process.send_signal(signal.SIGINT)
                command.process.send_signal(signal.SIGINT)
                await until(lambda: sum("gateway.draining" in line for line in command.err) == 2)
                assert not study.done()
            assert (await study).status_code == 200
        assert await command.process.wait() == 0
    assert not any("Traceback" in line for line in command.err)


async def test_readiness_is_false_before_the_listener_closes(tmp_path: Path):
    settings = workers_of(NOBODY, tmp_path, drain_delay_s=600)
    async with running_workers(settings) as live:
        live.stop()
        for _ in range(4):
            async with live.client() as client:

                async def is_draining(client: httpx.AsyncClient = client) -> bool:
                    ready = await client.get("/readyz")
                    return bool(ready.json()["checks"]["draining"])

                await until(is_draining)
        live.stop()  # its sender will not wait out the delay
        assert await live.task
        with pytest.raises(httpx.ConnectError):
            await live.metrics()


async def test_no_worker_outlives_the_first_process(tmp_path: Path):
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_HTTP__WORKERS": "2",
        "RADSTREAM_STORE__FOLDER": str(tmp_path),
    }
    async with running_command("serve", **variables) as command:
        await command.url()
        workers = descendants(command.pid)
        assert len(workers) == 2
        command.process.kill()
        await until(lambda: not any(is_alive(each) for each in workers))


async def test_an_address_in_use_is_told_before_anything_starts(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = workers_of(NOBODY, tmp_path, 2)
        http = settings.http.model_copy(update={"port": other.getsockname()[1]})
        with pytest.raises(AddressUnavailableError, match="another program listens"):
            async with running_workers(settings.model_copy(update={"http": http})):
                pass
    assert stored_in(tmp_path) == []


async def test_a_fault_at_the_start_is_told_in_the_workers_own_words(tmp_path: Path):
    settings = workers_of(NOBODY, tmp_path).model_copy(
        update={"access": AccessSettings(key_file=tmp_path / "none")}
    )
    with pytest.raises(StartError, match=r"the key file .*none cannot be used"):
        async with running_workers(settings):
            pass


async def test_it_stops_before_it_has_come_up(tmp_path: Path):
    told: list[str] = []
    starting = Supervisor(workers_of(NOBODY, tmp_path), SupervisorMetrics(), None)
    task = asyncio.create_task(starting.run(told.append))
    await until(lambda: len(starting._workers) == 2)
    with capture_logs() as said:
        starting._on_signal()
        assert await task
    assert told == []
    assert [event for event in said if event["log_level"] in {"warning", "error"}] == []


async def test_a_worker_that_hangs_is_killed_also_at_its_start_and_at_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervisor, "_PING_S", 0.1)
    monkeypatch.setattr(supervisor, "_MOST_PINGS_AT_START", 20)
    told: list[str] = []
    starting = Supervisor(workers_of(NOBODY, tmp_path), SupervisorMetrics(), None)
    task = asyncio.create_task(starting.run(told.append))
    await until(lambda: len(starting._workers) == 2)
    second = psutil.Process(starting._workers[2].pid)
    with stopped(second), pytest.raises(StartError, match="did not answer"):
        await task
    assert told == []
    monkeypatch.setattr(supervisor, "_MOST_PINGS_AT_START", 1200)
    async with running_workers(workers_of(NOBODY, tmp_path)) as live:
        with stopped(live.process(1)):
            live.stop()
            assert await live.task


async def test_at_the_second_signal_no_worker_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervisor, "_QUITS_S", 0.1)
    monkeypatch.setattr(supervisor, "_PING_S", 600)
    async with running_workers(workers_of(NOBODY, tmp_path)) as live:
        with stopped(live.process(1)):
            live.stop()
            await asyncio.sleep(0.2)
            assert not live.task.done()
            live.stop()
            assert await live.task


async def test_a_worker_that_dies_while_all_drain_does_not_cut_it_short(tmp_path: Path):
    async with running_workers(workers_of(NOBODY, tmp_path, drain_delay_s=600)) as live:
        live.stop()
        process = live.process(1)
        process.kill()
        await until(lambda: set(live.supervisor._workers) == {2})
        async with live.client() as client:
            assert (await client.get("/livez")).status_code == 200
        assert not live.task.done()
        live.stop()
        assert await live.task


async def test_a_fault_of_the_first_process_itself_ends_the_gateway(tmp_path: Path):
    """Its supervisor starts it again; a gateway that takes no connections would be left alone."""
    told: list[str] = []
    failing = Supervisor(workers_of(NOBODY, tmp_path), SupervisorMetrics(), None)
    failing._hand_over = _failing  # type: ignore[method-assign]
    task = asyncio.create_task(failing.run(told.append))
    await until(lambda: told != [])
    with pytest.raises(httpx.TransportError):
        await asyncio.to_thread(httpx.get, f"{told[0]}/livez", trust_env=False)
    with pytest.raises(RuntimeError, match="a fault"):
        await task


def _failing(_connection: socket.socket) -> bool:
    raise RuntimeError("a fault")


async def test_another_program_that_comes_first_is_told(tmp_path: Path):
    """Both had bound the address, and one listened."""
    settings = workers_of(NOBODY, tmp_path)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        http = settings.http.model_copy(update={"port": other.getsockname()[1]})
        starting = Supervisor(settings.model_copy(update={"http": http}), SupervisorMetrics(), None)
        task = asyncio.create_task(starting.run(lambda _url: None))
        await until(lambda: len(starting._workers) == 2)
        other.listen()
        with pytest.raises(AddressUnavailableError, match="another program listens"):
            await task


async def test_a_session_of_the_console_holds_at_every_worker(tmp_path: Path):
    key, _ = add_key(tmp_path / "keys", "reader", Scope.STUDIES_READ)
    settings = workers_of(NOBODY, tmp_path / "store").model_copy(
        update={
            "access": AccessSettings(key_file=tmp_path / "keys"),
            "console": ConsoleSettings(enabled=True),
        }
    )
    async with running_workers(settings) as live, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(live.client()) for _ in range(4)]
        answer = await clients[0].post("/console/sign-in", data={"key": key})
        assert answer.status_code == 303
        for client in clients:
            client.cookies = clients[0].cookies
            assert (await client.get("/console/studies")).status_code == 200
        assert live.open_connections() == {1: 2, 2: 2}


async def test_a_part_that_failed_costs_its_worker_and_no_request(
    triton: EmbeddedTriton, tmp_path: Path
):
    settings = workers_of(triton.grpc_url, tmp_path)
    async with running_workers(settings) as live, AsyncExitStack() as stack:
        process = live.process(2)
        clients = [await stack.enter_async_context(live.client()) for _ in range(2)]
        with capture_logs() as said:
            with suspended(triton):
                studies = [asyncio.create_task(send(client)) for client in clients]
                await until(lambda: live.open_connections() == {1: 1, 2: 1})
                _fail_part_of(live, 2)
                await asyncio.sleep(0.1)
            assert [(await study).status_code for study in studies] == [200, 200]
            await until(lambda: any(event["event"] == "worker.died" for event in said))
        [died] = [event for event in said if event["event"] == "worker.died"]
        assert died["reason"] == "its sweep failed"
        assert not is_alive(process)
        await live.all_ready()


async def test_a_worker_that_failed_and_does_not_end_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervisor, "_PING_S", 600)
    monkeypatch.setattr(supervisor, "_ENDS_S", 0.1)
    settings = workers_of(NOBODY, tmp_path, grace_period_s=0)
    telemetry = settings.telemetry.model_copy(update={"drain_s": 0.0})
    async with running_workers(settings.model_copy(update={"telemetry": telemetry})) as live:
        process = live.process(2)
        with stopped(process):
            _fail_part_of(live, 2)
            await until(lambda: not is_alive(process))
        await live.all_ready()


class _Host:
    """A supervisor of Triton's process that notes the restarts."""

    def __init__(self) -> None:
        self.restarts = 0

    def restart(self) -> bool:
        self.restarts += 1
        return True


async def test_triton_is_started_anew_once_for_all_workers_that_ask(tmp_path: Path):
    host: Any = _Host()
    metrics = SupervisorMetrics()
    first = Supervisor(workers_of(NOBODY, tmp_path), metrics, host)
    worker: Any = None
    with capture_logs() as said:
        for _ in range(3):
            first._take(worker, Message(Kind.RESTART_TRITON, b""))
    assert host.restarts == 1
    assert [event["event"] for event in said] == ["triton.restart"]
    asked = {family.name: family for family in metrics.families()}[
        "radstream_triton_restarts_asked"
    ]
    assert asked.samples[0].value == 1


@pytest.mark.parametrize("kind", [Kind.REPORT, Kind.LOADED])
async def test_what_one_worker_tells_is_told_to_all_others(tmp_path: Path, kind: Kind):
    async with running_workers(workers_of(NOBODY, tmp_path, 3)) as live:
        workers = live.supervisor._workers
        told: list[int] = []
        for number, worker in workers.items():
            worker.link.send = partial(_note, told, number, kind)  # type: ignore[method-assign]
        live.supervisor._take(workers[1], Message(kind, b"said"))
        for worker in workers.values():
            del worker.link.send
        assert told == [2, 3]


def _note(told: list[int], number: int, kind: Kind, sent: Kind, data: bytes) -> None:
    assert (sent, data) == (kind, b"said")
    told.append(number)


def _fail_part_of(live: LiveWorkers, number: int) -> None:
    """Have the first process hear what a worker says whose background work has ended."""
    worker = live.supervisor._workers[number]
    live.supervisor._take(worker, Message(Kind.FAILED, b"sweep"))
