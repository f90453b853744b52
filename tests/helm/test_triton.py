"""The real Triton takes the chart's arguments, and does what the pod counts on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from gateway.triton.embedded.folder import TritonFolder
from gateway.triton.embedded.ports import LOOPBACK, TritonPorts, choose_ports
from gateway.triton.embedded.process import GuardedProcess
from gateway.triton.embedded.runtime import find_runtime
from gateway.triton.embedded.server import TritonServer
from gateway.triton.restart_flag import RestartFlag
from tests.support.chart import Release, render
from tests.support.gateway import (
    ROOT,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png
from tests.support.processes import backend_process, stopped

ENTRYPOINT = ROOT / "docker/triton-entrypoint"


@asynccontextmanager
async def started(
    release: Release, repository: Path, ports: TritonPorts, flag: Path
) -> AsyncIterator[GuardedProcess]:
    """Triton with the container's arguments, but for the ports and folders of this machine."""
    container = release.container("triton")
    assert container["command"] == ["radstream-triton", "tritonserver"]
    runtime = find_runtime()
    folder = TritonFolder(runtime)
    here = {
        "--model-repository": str(repository),
        "--grpc-port": str(ports.grpc),
        "--metrics-port": str(ports.metrics),
    }
    replaced = [
        f"{name}={here.get(name, value)}"
        for name, _, value in (each.partition("=") for each in container["args"])
    ]
    replaced += [
        f"--http-port={ports.http}",
        f"--backend-directory={folder.backends}",
        f"--backend-config=python,shm-region-prefix-name={folder.shm_prefix}",
    ]
    server = TritonServer(runtime, folder, repository, ports, 60, 5, on_log=print)
    process = await GuardedProcess.spawn(
        [ENTRYPOINT, runtime.server, *replaced],
        environment=server._environment() | {"RADSTREAM_RESTART_FLAG": str(flag)},
        folder=folder,
        grace_s=5,
        on_log=print,
    )
    try:
        yield process
    finally:
        await process.kill()
        folder.remove()


async def answers(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(url)).is_success
        except httpx.TransportError:
            return False


async def test_the_startup_probe_is_answered_when_models_are_loaded_and_http_never_is(
    repository: Path, tmp_path: Path
):
    ports = choose_ports()
    release = render()
    probe = release.container("triton")["startupProbe"]["httpGet"]
    async with started(release, repository, ports, tmp_path / "restart") as process:
        ended = asyncio.create_task(process.wait())
        await until(
            lambda: _up_or_ended(ended, f"http://{LOOPBACK}:{ports.metrics}{probe['path']}")
        )
        assert not ended.done(), "Triton refused an argument of the chart's"
        async with InferenceServerClient(f"{LOOPBACK}:{ports.grpc}") as client:
            index = (await client.get_model_repository_index()).models
            assert index
            for model in index:
                assert model.state == "READY", model
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOOPBACK, ports.http)
        ended.cancel()


async def test_metrics_are_served_in_the_other_family(repository: Path, tmp_path: Path):
    """Triton's HTTP library takes an address of IPv6 by a prefix of its own."""
    ports = choose_ports()
    release = render({"ipFamily": "IPv6"})
    async with started(release, repository, ports, tmp_path / "restart") as process:
        ended = asyncio.create_task(process.wait())
        await until(lambda: _up_or_ended(ended, f"http://[::1]:{ports.metrics}/metrics"))
        assert not ended.done(), "Triton refused an argument of the chart's"
        ended.cancel()


async def _up_or_ended(ended: asyncio.Task[int], url: str) -> bool:
    return ended.done() or await answers(url)


async def test_the_flag_of_the_gateway_ends_the_server_and_its_container(
    repository: Path, tmp_path: Path
):
    ports, flag = choose_ports(), tmp_path / "restart"
    flag.touch()  # one that was meant for the server before
    url = f"http://{LOOPBACK}:{ports.metrics}/metrics"
    async with started(render(), repository, ports, flag) as process:
        await until(lambda: answers(url))
        assert not flag.exists()
        assert RestartFlag(flag).restart()
        assert await process.wait() == 70
        assert not flag.exists()
        assert not await answers(url)


async def test_pod_whose_models_answer_no_more_is_well_again_by_itself(
    repository: Path, tmp_path: Path
):
    """A gateway beside Triton's container, which is run again whenever it ends, as kubelet does."""
    ports, flag = choose_ports(), tmp_path / "restart"
    settings = settings_for(f"{LOOPBACK}:{ports.grpc}", tmp_path / "store")
    triton = {"restart_after_s": 1.0, "restart_flag": flag, "probe_timeout_s": 0.5}
    settings = settings.model_copy(update={"triton": settings.triton.model_copy(update=triton)})
    ends: list[int] = []

    async def kubelet() -> None:
        while True:
            async with started(render(), repository, ports, flag) as process:
                ends.append(await process.wait())

    container = asyncio.create_task(kubelet())
    try:
        async with running_gateway(settings) as gateway:
            await until(gateway.is_ready)
            backend = backend_process(settings.triton.url, "brightness")
            with stopped(backend):  # which is neither dead nor alive
                await until(lambda: ends == [70])
                # The container's own end, never the gateway's.
                assert (await gateway.client.get("/livez")).status_code == 200
            await until(gateway.is_ready)
            study = multipart(metadata(), flat_png(1))
            assert (await gateway.client.post("/v1/studies", **study)).status_code == 200
            assert await gateway.metric("radstream_triton_restarts_asked_total") >= 1
    finally:
        container.cancel()
        await asyncio.wait([container])
