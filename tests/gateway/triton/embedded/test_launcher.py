"""The embedded Triton: one that starts, stops, and leaves nothing behind."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.triton.embedded import EmbeddedTriton, TritonStartError
from gateway.triton.embedded import launcher as launcher_module
from gateway.triton.embedded.ports import TritonPorts, choose_ports
from tests.gateway.triton.embedded.own_triton import SHARED_MEMORY, Traces, affine, names_in
from tests.support.gateway import until
from tests.support.processes import is_alive
from tests.support.triton import running_triton


@pytest.mark.server
async def test_stop_leaves_nothing_behind(model_repository: Path):
    triton = EmbeddedTriton(model_repository)
    await triton.start()
    traces = Traces(triton)
    assert len(traces.shared_memory()) == 1
    assert traces.folder.is_dir()
    with capture_logs() as events:
        await triton.stop()
    assert "All models are stopped, unloading models" in {e.get("message") for e in events}
    traces.assert_none_is_left()
    with pytest.raises(RuntimeError, match="not running"):
        _ = triton.grpc_url
    await triton.stop()  # again: nothing to do


async def test_dead_backend_process_is_mended_by_unload_and_load(triton: EmbeddedTriton):
    async with InferenceServerClient(triton.grpc_url) as client:
        Traces(triton).stub.kill()
        with pytest.raises(InferenceServerException, match="is not healthy") as caught:
            await affine(client)
        assert caught.value.status() == "StatusCode.INTERNAL"
        # Why readiness has to infer.
        assert await client.is_server_ready()
        assert await client.is_model_ready("affine")

        await client.unload_model("affine")
        await client.load_model("affine")
        assert await affine(client) == [[3, 5, 7]]


@pytest.mark.server
async def test_start_that_waits_for_a_backend_process_that_died_is_given_up(
    model_repository: Path, own_temporary_folder: Path
):
    """Triton itself sees a backend die a moment later, so the moment may have to be met anew."""
    told: list[str] = []
    while "a backend process died as it started" not in "".join(told[-1:]):
        assert len(told) < 8, told
        triton = EmbeddedTriton(model_repository, start_timeout_s=20)
        start = asyncio.create_task(triton.start())
        await kill_first_backend(own_temporary_folder)
        try:
            await start
        except TritonStartError as error:
            told.append(str(error))
        else:
            told.append("it started")
            await triton.stop()
        assert not names_in(own_temporary_folder)


async def kill_first_backend(folder: Path) -> None:
    """Kill a backend process of the server in this folder as soon as there is one."""

    def backends() -> list[psutil.Process]:
        # A process of bash first, whose end would not be a backend's yet.
        return [
            child
            for child in psutil.Process().children(recursive=True)
            if "triton_python_backend_stub" in "".join(arguments(child)[:1])
            and str(folder) in " ".join(arguments(child))
        ]

    found: list[psutil.Process] = []

    def seen() -> bool:  # once: between bash and the backend it has no arguments for a moment
        found[:] = backends()
        return found != []

    await until(seen)
    found[0].kill()


def arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


async def test_second_server_takes_other_ports_even_if_it_first_chose_the_same(
    model_repository: Path, triton: EmbeddedTriton, monkeypatch: pytest.MonkeyPatch
):
    taken, free = int(triton.grpc_url.split(":")[1]), choose_ports()
    # The race itself cannot be provoked: the choice is made as if it had been lost.
    choices = [TritonPorts(taken, free.http, free.metrics), free]
    monkeypatch.setattr(launcher_module, "choose_ports", lambda **_wanted: choices.pop(0))
    messages: list[str] = []
    async with running_triton(
        model_repository, on_log=lambda line: messages.append(line.message)
    ) as second:
        assert any("already in use" in message for message in messages)
        assert second.grpc_url == f"127.0.0.1:{free.grpc}"
        for side in (triton, second):
            async with InferenceServerClient(side.grpc_url) as client:
                assert await affine(client) == [[3, 5, 7]]
    Traces(triton)  # still one server, one backend process


@pytest.mark.server
async def test_of_two_servers_started_at_once_one_gets_the_metrics_port(model_repository: Path):
    port = choose_ports().metrics
    servers = [EmbeddedTriton(model_repository, metrics_port=port) for _ in range(2)]
    with capture_logs() as logs:
        async with AsyncExitStack() as stack:
            await asyncio.gather(*(stack.enter_async_context(each) for each in servers))
            urls = {each.metrics_url for each in servers}
            assert f"http://127.0.0.1:{port}/metrics" in urls
            assert len(urls) == 2
    assert [each["port"] for each in logs if each["event"] == "triton.metrics_port_taken"] == [port]


async def test_missing_model_repository_is_told_before_anything_starts(tmp_path: Path):
    with pytest.raises(TritonStartError, match="nowhere is not a folder"):
        await EmbeddedTriton(tmp_path / "nowhere").start()


@pytest.mark.server
async def test_start_that_is_cancelled_leaves_nothing_behind(
    model_repository: Path, own_temporary_folder: Path
):
    first_line = asyncio.Event()
    triton = EmbeddedTriton(model_repository, on_log=lambda _: first_line.set())
    start = asyncio.create_task(triton.start())
    await first_line.wait()
    [folder] = names_in(own_temporary_folder)
    family = psutil.Process().children(recursive=True)
    processes = [child for child in family if folder in " ".join(arguments(child))]
    assert len(processes) >= 2  # guardian and server
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not any(is_alive(process) for process in processes)
    assert not names_in(own_temporary_folder)
    assert not [name for name in names_in(SHARED_MEMORY) if name.startswith(folder)]
