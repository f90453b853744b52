"""`radstream up` with several workers: to its senders it is one gateway."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.dimse import free_port
from tests.support.gateway import (
    ROOT,
    Command,
    client_of,
    metadata,
    metric,
    multipart,
    running_command,
    until,
)
from tests.support.processes import descendants, is_alive
from tests.support.tools import tool

RADIOGRAPH = next(iter(sorted((ROOT / "tests/data/images").glob("person*.jpeg"))))
WORKERS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def dicom_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
async def up(folder: Path, dicom_port: int) -> AsyncIterator[Command]:
    (folder / "dropfolder").mkdir()
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_HTTP__WORKERS": str(WORKERS),
        "RADSTREAM_STORE__FOLDER": str(folder / "store"),
        "RADSTREAM_DROPFOLDER__FOLDER": str(folder / "dropfolder"),
        "RADSTREAM_TELEMETRY__KIND": "file",
        "RADSTREAM_TELEMETRY__FOLDER": str(folder / "telemetry"),
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(folder / "spool"),
        "RADSTREAM_DIMSE__LISTEN": "true",
        "RADSTREAM_DIMSE__PORT": str(dicom_port),
    }
    async with running_command("up", **variables) as command:
        await command.url()
        yield command


async def text_of(up: Command) -> str:
    """The metrics of all workers."""
    async with client_of(await up.url()) as client:
        return (await client.get("/metrics")).text


async def all_serve(up: Command) -> None:
    async def are_there() -> bool:
        return metric(await text_of(up), "radstream_workers") == WORKERS

    await until(are_there)


async def send(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    data = await asyncio.to_thread(RADIOGRAPH.read_bytes)
    return await client.post("/v1/studies", **multipart(metadata(**fields), data))


def workers(up: Command) -> list[psutil.Process]:
    """The workers, the first of them first."""
    found = {}
    for line in up.err:
        if '"event": "worker.ready"' in line:
            told = json.loads(line)
            found[told["worker"]] = told["pid"]
    return [psutil.Process(found[number]) for number in sorted(found)]


async def drop(folder: Path, up: Command, study_id: str) -> None:
    """Drop a pair, and wait for its result."""
    sidecar = json.dumps(metadata(study_id=study_id))
    (folder / f"dropfolder/{study_id}.jpeg").write_bytes(RADIOGRAPH.read_bytes())
    (folder / f"dropfolder/{study_id}.json").write_text(sidecar)
    async with client_of(await up.url()) as client:

        async def is_there() -> bool:
            return (await client.get(f"/v1/studies/{study_id}")).status_code == 200

        await until(is_there)


async def echo(port: int) -> None:
    """Have the DICOM listener answer."""

    async def answers() -> bool:
        process = await asyncio.create_subprocess_exec(
            *(tool("echoscu"), "-aec", "RADSTREAM", "127.0.0.1", str(port)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait() == 0

    await until(answers)


async def test_every_worker_serves_and_one_alone_listens_and_watches(
    up: Command, folder: Path, dicom_port: int
):
    for _ in range(WORKERS):
        async with client_of(await up.url()) as client:
            assert (await send(client)).status_code == 200
    await drop(folder, up, "dropped-before")
    await echo(dicom_port)
    said = [json.loads(line) for line in up.err if line.startswith("{")]
    by_event: dict[str, list[int]] = {}
    for event in said:
        if "worker" in event:
            by_event.setdefault(event["event"], []).append(event["worker"])
    assert by_event["dimse.listening"] == [1]
    assert by_event["dropfolder.delivered"] == [1]
    assert set(by_event["study.completed"]) == {1, 2, 3}


async def test_the_console_shows_the_numbers_of_all(up: Command):
    async with client_of(await up.url()) as client:
        numbers = (await client.get("/console/live/numbers.json")).json()
    assert sum(numbers["outcomes"].values()) > WORKERS


async def test_a_dead_backend_is_reloaded_once_and_no_study_is_lost(up: Command):
    before = sum_of(await text_of(up), "radstream_model_reloads_total")
    stub = next(
        each
        for each in descendants(up.pid, "triton_python_backend_stub")
        if any("cxr_pneumonia" in argument for argument in each.cmdline())
    )
    stub.kill()

    async def one() -> int:
        async with client_of(await up.url()) as client:
            return (await send(client)).status_code

    assert set(await asyncio.gather(*(one() for _ in range(6)))) == {200}
    await until(lambda: sum("model.reloaded" in line for line in up.err) >= 1)
    await asyncio.sleep(3)  # others would have begun theirs
    after = sum_of(await text_of(up), "radstream_model_reloads_total")
    assert after - before == 1


def sum_of(text: str, name: str) -> float:
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + "{"))


async def test_the_first_worker_comes_back_with_its_listener_and_its_folder(
    up: Command, folder: Path, dicom_port: int
):
    first = workers(up)[0]
    first.kill()
    await until(lambda: not is_alive(first))
    await all_serve(up)
    await echo(dicom_port)
    await drop(folder, up, "dropped-after")


async def test_a_triton_that_died_comes_back(up: Command):
    [triton] = descendants(up.pid, "tritonserver")
    triton.kill()

    async def is_restarted() -> bool:
        return metric(await text_of(up), "radstream_triton_restarts_total") == 1

    await until(is_restarted)

    async def is_answered() -> bool:
        async with client_of(await up.url()) as client:
            return (await send(client)).status_code == 200

    await until(is_answered)


async def test_all_of_it_ends_in_order(up: Command):
    """The last of this module."""
    processes = descendants(up.pid)
    assert len([each for each in processes if each in workers(up)]) == WORKERS
    up.process.send_signal(signal.SIGTERM)
    assert await up.process.wait() == 0
    assert not any(is_alive(each) for each in processes)
