"""The life of the embedded server: start, faults, restart, stop and what is left of it."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from structlog.testing import capture_logs
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.triton.embedded import EmbeddedTriton, TritonStartError
from gateway.triton.embedded import launcher as launcher_module
from gateway.triton.embedded.ports import TritonPorts, choose_ports
from tests.gateway.triton.embedded import onnx_models
from tests.support.gateway import until
from tests.support.models import write_model
from tests.support.processes import backend_process, descendants, is_alive, triton_process
from tests.support.triton import running_triton

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


@pytest.fixture(scope="module")
def model_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("models")
    onnx_models.affine(repository / "affine")
    return repository


@pytest.fixture(scope="module")
async def triton(model_repository: Path) -> AsyncIterator[EmbeddedTriton]:
    async with running_triton(model_repository) as triton:
        yield triton


class Traces:
    """What the kernel and the file system know of one embedded server."""

    def __init__(self, triton: EmbeddedTriton) -> None:
        self.server = triton_process(triton.grpc_url)
        # Triton does not reap a backend process that was killed.
        [self.stub] = descendants(self.server.pid)
        self.guardian = self.server.parent()
        self.processes = [self.guardian, self.server, self.stub]
        [name] = [a for a in self.server.cmdline() if a.startswith("--id=")]
        self.folder = Path(tempfile.gettempdir()) / name.removeprefix("--id=")

    def shared_memory(self) -> list[Path]:
        return list(SHARED_MEMORY.glob(f"{self.folder.name}*"))

    def assert_none_is_left(self) -> None:
        assert not any(is_alive(process) for process in self.processes)
        assert not self.shared_memory()
        assert not self.folder.exists()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def own_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in which only the test's own server can make its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def affine(client: InferenceServerClient) -> list[list[float]]:
    x = InferInput("x", [1, 3], "FP32")
    x.set_data_from_numpy(np.array([[1, 2, 3]], np.float32))
    result = await client.infer("affine", [x], client_timeout=10)
    return result.as_numpy("y").tolist()


async def answer_in_the_end(client: InferenceServerClient) -> list[list[float]]:
    while True:
        with suppress(InferenceServerException):
            return await affine(client)
        await asyncio.sleep(0.05)


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


async def test_server_that_dies_is_back_on_the_same_ports(triton: EmbeddedTriton):
    urls = (triton.grpc_url, triton.http_url, triton.metrics_url)
    before = Traces(triton)
    async with InferenceServerClient(triton.grpc_url) as client:
        with capture_logs() as events:
            before.server.kill()
            assert await answer_in_the_end(client) == [[3, 5, 7]]
    await until(lambda: not any(is_alive(process) for process in before.processes))
    assert (triton.grpc_url, triton.http_url, triton.metrics_url) == urls
    [died] = [event for event in events if event["event"] == "triton.died"]
    assert died["exit_code"] == 128 + 9
    assert {"event": "triton.restarted", "log_level": "info"} in events
    # The new backend process's alone.
    await until(lambda: len(before.shared_memory()) == 1)


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


async def test_dead_guardian_takes_the_server_with_it_and_both_come_back(triton: EmbeddedTriton):
    before = Traces(triton)
    # As if it waited for the server's lock: the case in which it does not notice its death.
    before.stub.suspend()
    async with InferenceServerClient(triton.grpc_url) as client:
        before.guardian.kill()
        assert await answer_in_the_end(client) == [[3, 5, 7]]
    await until(lambda: not any(is_alive(process) for process in before.processes))
    await until(lambda: len(before.shared_memory()) == 1)


async def test_restart_that_is_asked_for_brings_another_server_on_the_same_ports(
    triton: EmbeddedTriton,
):
    before, url = Traces(triton), triton.grpc_url
    assert triton.restart()
    async with InferenceServerClient(url) as client:
        await until(lambda: not is_alive(before.server))
        assert not triton.restart()  # it is being started already
        assert await answer_in_the_end(client) == [[3, 5, 7]]
    assert triton.grpc_url == url
    await until(lambda: len(before.shared_memory()) == 1)


async def test_backend_process_that_died_unnoticed_is_seen(triton: EmbeddedTriton):
    await until(lambda: triton.lost_backends() == frozenset())
    stub = Traces(triton).stub
    stub.kill()
    await until(lambda: triton.lost_backends() == {stub.pid})
    async with InferenceServerClient(triton.grpc_url) as client:
        await client.unload_model("affine")
        await client.load_model("affine")
        assert await affine(client) == [[3, 5, 7]]
    await until(lambda: triton.lost_backends() == frozenset())


@pytest.mark.server
async def test_processes_of_a_model_that_was_reloaded_are_ended(tmp_path: Path):
    """Triton itself keeps the living one of two for good, once the other had died."""
    write_model(tmp_path, instances=2)
    write_model(tmp_path, "brightness_2")
    async with (
        running_triton(tmp_path) as triton,
        InferenceServerClient(triton.grpc_url) as client,
    ):
        before, others = triton.backends_of("brightness"), triton.backends_of("brightness_2")
        assert (len(before), len(others)) == (2, 1)
        backend_process(triton.grpc_url, "brightness").kill()
        with suppress(InferenceServerException):
            while True:
                await bright(client)  # until one of them meets the dead one
        await client.unload_model("brightness")
        await client.load_model("brightness")
        after = triton.backends_of("brightness") - before
        assert len(after) == 2
        triton.end_backends("brightness", before | others)
        await until(lambda: triton.backends_of("brightness") == after)
        assert triton.backends_of("brightness_2") == others
        assert [await bright(client) for _ in range(4)] == [[[4.0]]] * 4


async def bright(client: InferenceServerClient) -> list[list[float]]:
    image = InferInput("image", [1, 1, 32, 32], "FP32")
    image.set_data_from_numpy(np.ones((1, 1, 32, 32), np.float32))
    return (await client.infer("brightness", [image])).as_numpy("logits").tolist()


@pytest.mark.server
async def test_start_that_waits_for_a_backend_process_that_died_is_given_up(
    model_repository: Path, own_temporary_folder: Path
):
    triton = EmbeddedTriton(model_repository, start_timeout_s=600)
    start = asyncio.create_task(triton.start())

    def backend() -> list[psutil.Process]:
        # A process of bash first, whose end would not be a backend's yet.
        return [
            child
            for child in psutil.Process().children(recursive=True)
            if "triton_python_backend_stub" in "".join(arguments(child)[:1])
            and str(own_temporary_folder) in " ".join(arguments(child))
        ]

    found: list[psutil.Process] = []

    def seen() -> bool:  # once: between bash and the backend it has no arguments for a moment
        found[:] = backend()
        return found != []

    await until(seen)
    found[0].kill()
    with pytest.raises(TritonStartError, match="a backend process died as it started"):
        await start
    assert not names_in(own_temporary_folder)


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
async def test_server_that_is_not_live_in_time_is_ended_and_its_last_words_told(
    model_repository: Path, own_temporary_folder: Path
):
    triton = EmbeddedTriton(model_repository, start_timeout_s=1)
    with pytest.raises(TritonStartError, match=r"not live after 1 s") as caught:
        await triton.start()
    assert any("CUDA memory pool disabled" in line for line in caught.value.log_tail)
    assert not names_in(own_temporary_folder)


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


OWNER = """
import asyncio, sys
from pathlib import Path
from gateway.triton.embedded import EmbeddedTriton

async def main():
    async with EmbeddedTriton(Path(sys.argv[1]), on_log=lambda line: None):
        print("live", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def owner_process(model_repository: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs an embedded Triton, once that is live."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, model_repository], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        try:
            assert any(line == "live\n" for line in owner.stdout)
            yield owner
        finally:
            owner.kill()


@pytest.mark.server
def test_nothing_outlives_an_owner_that_is_killed(
    model_repository: Path, own_temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(own_temporary_folder))
    monkeypatch.setenv("HOME", str(own_temporary_folder))
    with owner_process(model_repository) as owner:
        [folder] = own_temporary_folder.iterdir()  # and no file of onnxruntime's telemetry
        assert len(list(SHARED_MEMORY.glob(f"{folder.name}*"))) == 1
        family = psutil.Process(owner.pid).children(recursive=True)
        assert len(family) == 3  # guardian, server, backend process
        # Ctrl-C reaches the processes of the terminal's session only.
        assert os.getsid(owner.pid) not in {os.getsid(process.pid) for process in family}
        owner.kill()
        _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert not list(SHARED_MEMORY.glob(f"{folder.name}*"))
    assert not folder.exists()
