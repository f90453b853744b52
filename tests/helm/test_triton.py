"""The real Triton takes the chart's arguments, and does what the pod counts on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tritonclient.grpc.aio import InferenceServerClient

from gateway.sidecar.folder import TritonFolder
from gateway.sidecar.ports import LOOPBACK, TritonPorts, choose_ports
from gateway.sidecar.process import GuardedProcess
from gateway.sidecar.runtime import find_runtime
from gateway.sidecar.server import TritonServer
from tests.support.chart import Release, render
from tests.support.gateway import until


@asynccontextmanager
async def started(
    release: Release, repository: Path, ports: TritonPorts
) -> AsyncIterator[GuardedProcess]:
    """Triton with the container's arguments, but for the ports and folders of this machine."""
    container = release.container("triton")
    assert container["command"] == ["tritonserver"]
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
        [runtime.server, *replaced],
        environment=server._environment(),
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
    repository: Path,
):
    ports = choose_ports()
    release = render()
    probe = release.container("triton")["startupProbe"]["httpGet"]
    async with started(release, repository, ports) as process:
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


async def test_metrics_are_served_in_the_other_family(repository: Path):
    """Triton's HTTP library takes an address of IPv6 by a prefix of its own."""
    ports = choose_ports()
    release = render({"ipFamily": "IPv6"})
    async with started(release, repository, ports) as process:
        ended = asyncio.create_task(process.wait())
        await until(lambda: _up_or_ended(ended, f"http://[::1]:{ports.metrics}/metrics"))
        assert not ended.done(), "Triton refused an argument of the chart's"
        ended.cancel()


async def _up_or_ended(ended: asyncio.Task[int], url: str) -> bool:
    return ended.done() or await answers(url)
