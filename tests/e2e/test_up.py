"""`radstream up` as a user runs it: one process, a real Triton below it, the reference model."""

import asyncio
import json
import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.gateway import (
    ROOT,
    Command,
    client_of,
    files_in,
    metadata,
    metric,
    multipart,
    running_command,
    until,
)
from tests.support.processes import descendants, is_alive, stopped

IMAGES = ROOT / "tests/data/images"
PNEUMONIA = sorted(IMAGES.glob("person*.jpeg"))
NORMAL = sorted(IMAGES.glob("NORMAL2-*.jpeg"))
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Triton makes its regions


def settings_in(folder: Path) -> dict[str, str]:
    return {"RADSTREAM_HTTP__PORT": "0", "RADSTREAM_STORE__FOLDER": str(folder)}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
async def up(store: Path) -> AsyncIterator[Command]:
    async with running_command("up", **settings_in(store)) as command:
        await command.url()
        yield command


@pytest.fixture(scope="module")
async def client(up: Command) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(await up.url()) as client:
        await until(lambda: is_ready(client))
        yield client


async def is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).is_success


def below(command: Command, name: str) -> list[psutil.Process]:
    return descendants(command.pid, name)


async def send(client: httpx.AsyncClient, image: Path, **fields: Any) -> httpx.Response:
    return await client.post(
        "/v1/studies", **multipart(metadata(**fields), await asyncio.to_thread(image.read_bytes))
    )


def readme_request() -> tuple[str, str, Path]:
    """Path, metadata and image of the README's first curl."""
    readme = (ROOT / "README.md").read_text()
    [command, *_] = re.findall(r"^curl (?:.*\\\n)*.*$", readme, re.MULTILINE)
    _, url, *arguments = shlex.split(command.replace("\\\n", " "))
    fields = dict(value.split("=", 1) for value in arguments[1::2])
    assert arguments[::2] == ["-F"] * len(fields)
    return httpx.URL(url).path, fields["metadata"], ROOT / fields["image"].removeprefix("@")


async def test_readmes_request_is_answered_with_a_finding(client: httpx.AsyncClient):
    path, document, image = readme_request()
    response = await client.post(path, **multipart(document.encode(), image.read_bytes()))
    assert response.status_code == 200, response.text
    [answer] = response.json()["images"]
    [finding] = answer["findings"]
    assert (finding["label"], finding["positive"]) == ("pneumonia", True)
    assert answer["model"]["name"] == "cxr_pneumonia"
    for link in (answer["heatmap"], answer["preview"]):
        picture = await client.get(link)
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("image", "positive"),
    [*((image, True) for image in PNEUMONIA), *((image, False) for image in NORMAL)],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
async def test_committed_radiograph_is_read_as_its_true_label_says(
    client: httpx.AsyncClient, image: Path, positive: bool
):
    response = await send(client, image)
    assert response.status_code == 200, response.text
    [answer] = response.json()["images"]
    assert answer["findings"][0]["positive"] is positive


async def test_one_image_sent_twenty_times_at_once_is_stored_once(
    client: httpx.AsyncClient, store: Path
):
    document = metadata()
    data = NORMAL[0].read_bytes()
    responses = await asyncio.gather(
        *(client.post("/v1/studies", **multipart(document, data)) for _ in range(20))
    )
    assert {response.status_code for response in responses} == {200}
    [answer] = {json.dumps(response.json(), sort_keys=True) for response in responses}
    assert len(json.loads(answer)["images"]) == 1
    prefix = f"results/{document['study_id']}/"
    kept = [name for name in files_in(store) if prefix in name]
    assert len([name for name in kept if name.endswith("cxr_pneumonia-1.json")]) == 1
    assert len(kept) == 4  # study, image, reading, view


async def test_triton_killed_under_a_request_costs_that_request_alone(
    up: Command, client: httpx.AsyncClient
):
    before = up.pid
    document, data = metadata(), PNEUMONIA[0].read_bytes()
    with ExitStack() as halted:  # or the request would be answered before the kill
        for backend in below(up, "triton_python_backend_stub"):
            halted.enter_context(stopped(backend))
        request = asyncio.create_task(client.post("/v1/studies", **multipart(document, data)))

        async def in_flight() -> bool:
            text = (await client.get("/metrics")).text
            return metric(text, "radstream_studies_in_flight") == 1

        await until(in_flight)
        [server] = below(up, "tritonserver")
        server.kill()
        response = await request
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["type"] == "urn:radstream:problem:model-unavailable"
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/livez")).status_code == 200

    await until(lambda: is_ready(client))
    again = await client.post("/v1/studies", **multipart(document, data))
    assert again.status_code == 200, again.text
    assert "idempotent-replayed" not in again.headers
    assert (up.pid, up.process.returncode) == (before, None)
    text = (await client.get("/metrics")).text
    assert metric(text, "radstream_triton_restarts_total") >= 1


async def test_ctrl_c_ends_all_of_it_in_order(tmp_path: Path):
    async with running_command("up", **settings_in(tmp_path)) as command:
        await command.url()
        started = descendants(command.pid)
        names = {each.name() for each in started}
        assert {"tritonserver", "triton_python_backend_stub"} <= names
        shared_memory = regions(started)
        command.process.send_signal(signal.SIGINT)
        assert await command.process.wait() == 0
        assert not any(is_alive(each) for each in started)
        assert not any(region.exists() for region in shared_memory)
    assert not any("Traceback" in line for line in command.err)


async def test_killed_gateway_leaves_no_process(tmp_path: Path):
    async with running_command("up", **settings_in(tmp_path)) as command:
        await command.url()
        started = descendants(command.pid)
        assert len(started) >= 3
        shared_memory = regions(started)
        assert shared_memory
        command.process.kill()
        assert await command.process.wait() == -signal.SIGKILL
        await until(lambda: not any(is_alive(each) for each in started))
        await until(lambda: not any(region.exists() for region in shared_memory))


def regions(processes: list[psutil.Process]) -> list[Path]:
    """The shared memory files of the Triton among them."""
    [server] = [each for each in processes if each.name() == "tritonserver"]
    [name] = [a.removeprefix("--id=") for a in server.cmdline() if a.startswith("--id=")]
    return list(SHARED_MEMORY.glob(f"{name}*"))
