"""`radstream up` as a user runs it: one process, a real Triton below it, the reference model."""

import argparse
import asyncio
import json
import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

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


def curl_commands(page: str) -> list[str]:
    """The requests to this machine that a page shows."""
    commands = re.findall(r"^curl (?:.*\\\n)*.*$", (ROOT / page).read_text(), re.MULTILINE)
    return [command for command in commands if "http://127.0.0.1:8080/" in command]


async def as_curl(client: httpx.AsyncClient, command: str) -> httpx.Response:
    """What the gateway answers to a command of the documentation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("-i", action="store_true")
    parser.add_argument("-o", dest="file")
    parser.add_argument("-X", dest="method")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-F", dest="parts", action="append", default=[])
    parser.add_argument("--data-binary", dest="body")
    parser.add_argument("-d", dest="text")
    given = parser.parse_args(shlex.split(command.replace("\\\n", " "), comments=True)[1:])
    parts = dict(part.split("=", 1) for part in given.parts)
    if parts:
        image = (ROOT / parts["image"].removeprefix("@")).read_bytes()
        document, _, content_type = parts["metadata"].partition(";type=")
        assert content_type in {"", "application/json"}
        sent = multipart(document.encode(), image)
    elif given.text:
        sent = {"content": given.text.encode()}
    elif given.body:
        sent = {"content": (ROOT / given.body.removeprefix("@")).read_bytes()}
    else:
        sent = {}
    return await client.request(
        given.method or ("POST" if sent else "GET"),
        httpx.URL(given.url).path,
        headers=dict(header.split(": ", 1) for header in given.headers),
        **sent,
    )


@pytest.mark.parametrize("path", [PNEUMONIA[0], NORMAL[0]], ids=["pneumonia", "normal"])
async def test_pictures_that_the_model_was_not_made_for_get_no_verdict(
    client: httpx.AsyncClient, path: Path
):
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    shapes = np.full((600, 800), 40, np.uint8)
    cv2.circle(shapes, (300, 250), 150, 220, -1)
    sent = {
        "as it is": (picture, True),
        "turned": (np.rot90(picture), False),
        "inverted": (255 - picture, False),
        "shapes": (shapes, False),
    }
    for name, (pixels, is_applicable) in sent.items():
        answer = await client.post("/v1/studies", **multipart(metadata(), _png(pixels)))
        [image] = answer.json()["images"]
        [reading] = image["readings"]
        [finding] = reading["findings"]
        assert (reading["applicable"]["score"] >= 0.5) is is_applicable, name
        verdict = "applicable" if is_applicable else "not_applicable"
        assert reading["applicable"]["verdict"] == verdict, name
        assert ("positive" in finding) is is_applicable, name


async def test_black_squares_and_flat_pictures_are_never_positive(client: httpx.AsyncClient):
    grain = np.random.default_rng(19).integers(-3, 4, (600, 800))
    black_square = np.full((600, 800), 200, np.uint8)
    black_square[50:550, 100:700] = 0
    mostly_white = np.full((600, 800), 255, np.uint8)
    mostly_white[:, :300] = np.linspace(0, 250, 300).astype(np.uint8)
    radiograph = cv2.imread(str(NORMAL[0]), cv2.IMREAD_GRAYSCALE)
    assert radiograph is not None
    small = cv2.resize(radiograph, (80, 80))
    sent = {
        "black": (np.zeros((600, 800), np.uint8), None),
        "flat": (np.full((600, 800), 128, np.uint8), None),
        "flat with grain": ((128 + grain).astype(np.uint8), "with a contrast of 0.15 or more"),
        "black square": (black_square, "50 % or less is black"),
        "mostly white": (mostly_white, "25 % or less is white"),
        "small": (np.asarray(small), "of 96 x 96 pixels or more"),
    }
    for name, (pixels, reason) in sent.items():
        answer = await client.post("/v1/studies", **multipart(metadata(), _png(pixels)))
        if reason is None:
            assert answer.status_code == 422, name
            assert answer.json()["type"] == "urn:radstream:problem:no-contrast", name
            continue
        [image] = answer.json()["images"]
        [reading] = image["readings"]
        assert reading["applicable"]["verdict"] == "not_applicable", name
        assert reason in reading["applicable"]["reason"], name
        assert "positive" not in reading["findings"][0], name


def _png(pixels: NDArray[Any]) -> bytes:
    done, data = cv2.imencode(".png", pixels)
    assert done
    return data.tobytes()


async def test_readmes_request_is_answered_with_a_finding(client: httpx.AsyncClient):
    [command, *_] = curl_commands("README.md")
    response = await as_curl(client, command)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["disclaimer"]
    [image] = answer["images"]
    [reading] = image["readings"]
    [finding] = reading["findings"]
    assert (finding["label"], finding["positive"]) == ("pneumonia", True)
    assert reading["model"]["name"] == "cxr_pneumonia"
    assert reading["applicable"]["verdict"] == "applicable"
    for link in (reading["heatmap"], image["preview"]):
        picture = await client.get(link)
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")


async def test_requests_of_the_integrators_page_are_answered_as_it_says(client: httpx.AsyncClient):
    answers = [await as_curl(client, each) for each in curl_commands("docs/integrate.md")]
    assert [answer.status_code for answer in answers] == [*[200] * 8, 202, 200, 204]
    [multipart_answer, *_, fhir, report, judged, accepted, deferred, _] = answers
    assert multipart_answer.json()["status"] == "completed"
    assert judged.json()["feedback"][0]["judgement"] == "disagree"
    assert deferred.url.path == accepted.headers["location"]
    assert fhir.json()["resourceType"] == "Bundle"
    assert report.headers["content-type"] == "application/dicom"


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
    [reading] = answer["readings"]
    assert reading["findings"][0]["positive"] is positive


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
    assert len([name for name in kept if "/image-" in name]) == 1
    assert len(kept) == 2  # the study's document and the image


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
