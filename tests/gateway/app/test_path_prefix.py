"""Behind a proxy that strips a prefix: every path that an answer names begins with it."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from gateway.settings import CallbackSettings, DropFolderSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import (
    LiveGateway,
    brisk,
    metadata,
    multipart,
    run_command,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png
from tests.support.receiver import Receiver, receiving

PREFIX = "/radiology/radstream"


@pytest.fixture(scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Receiver]:
    async with receiving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver


@pytest.fixture(scope="module")
async def gateway(
    triton: EmbeddedTriton, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway that a proxy serves under the prefix; these tests take the proxy's part."""
    folder = tmp_path_factory.mktemp("prefixed")
    settings = settings_for(triton.grpc_url, folder / "store")
    settings = brisk(
        settings,
        http=settings.http.model_copy(update={"path_prefix": PREFIX}),
        dropfolder=DropFolderSettings(folder=folder / "drop", watch=True, settle_s=0.05),
        callbacks=CallbackSettings(
            hosts=receiver.url.removeprefix("https://"),
            secret=SecretStr("a secret of more than thirty-two characters"),
            private_addresses=True,
            ca_file=receiver.ca_file,
        ),
    )
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield gateway


def stripped(path: str) -> str:
    """The path as the proxy passes it on."""
    assert path.startswith(f"{PREFIX}/"), path
    return path.removeprefix(PREFIX)


async def test_a_result_and_its_pictures_are_found_under_the_prefix(gateway: LiveGateway):
    client, document = gateway.client, metadata()
    sent = (await client.post("/v1/studies", **multipart(document, flat_png(200)))).json()
    path = f"/v1/studies/{document['study_id']}"
    assert await read(client, path) == sent
    [image] = sent["images"]
    for link in (image["preview"], image["readings"][0]["heatmap"]):
        assert link.startswith(f"{PREFIX}{path}/images/1/")
        answer = await client.get(stripped(link))
        assert answer.headers["content-type"] == "image/png"
    page = await read(client, "/v1/studies?limit=1")
    assert stripped(page["studies"][0]["href"]).startswith("/v1/studies/S-")
    assert re.fullmatch(PREFIX + r"/v1/studies\?after=S-[0-9a-f]{16}&limit=1", page["next"])
    assert (await client.get(stripped(page["next"]))).status_code == 200


async def test_what_is_stored_knows_no_prefix(gateway: LiveGateway):
    document = metadata()
    await gateway.client.post("/v1/studies", **multipart(document, flat_png(201)))
    stored = gateway.settings.store.folder / f"results/{document['study_id']}/result.json"
    [image] = json.loads(stored.read_bytes())["images"]
    assert image["preview"].startswith(f"/v1/studies/{document['study_id']}/images/1/")


async def test_location_and_callback_of_a_study_that_is_read_later(
    gateway: LiveGateway, receiver: Receiver
):
    document = metadata()
    answer = await gateway.client.post(
        "/v1/studies",
        headers={"Prefer": "respond-async", "RadStream-Callback": f"{receiver.url}/done"},
        **multipart(document, flat_png(202)),
    )
    path = f"{PREFIX}/v1/studies/{document['study_id']}"
    assert (answer.status_code, answer.headers["location"]) == (202, path)
    await until(lambda: len(receiver.came) == 1)
    assert json.loads(receiver.came[0][2])["study"] == path


async def test_parked_items_page_and_their_retried_study(gateway: LiveGateway):
    client, drop = gateway.client, gateway.settings.dropfolder.folder
    for name in ("first", "second"):
        (drop / f"{name}.json").write_text("{}")
        (drop / f"{name}.png").write_bytes(flat_png(203))

    async def are_parked() -> bool:
        return len((await read(client, "/v1/parked"))["parked"]) == 2

    await until(are_parked)
    page = await read(client, "/v1/parked?limit=1")
    [item] = page["parked"]
    assert page["next"] == f"{PREFIX}/v1/parked?after={item['id']}&limit=1"
    document = metadata()
    (drop / f"{Path(item['key']).stem}.json").write_text(json.dumps(document))
    retried = (await client.post(f"/v1/parked/{item['id']}/retry")).json()
    assert retried["study"] == f"{PREFIX}/v1/studies/{document['study_id']}"


async def test_the_commands_pages_are_asked_for_where_the_command_was_told(gateway: LiveGateway):
    # `--url` leads past the proxy here, so that a path from the answer would lead nowhere.
    parked = gateway.settings.store.folder / "parked"
    parked.mkdir(exist_ok=True)
    for number in range(201):
        item = {
            "schema": "radstream.parked/1",
            "id": f"{number:032x}",
            "parked_at": "2026-01-31T08:15:00Z",
            "half": "sidecar",
            "key": f"{number}.json",
            "problem": {"type": "about:blank", "title": "T", "status": 422, "detail": "D"},
        }
        (parked / f"{number:032x}.json").write_text(json.dumps(item))
    code, out, err = await run_command("parked", "list", "--json", "--url", gateway.url)
    for number in range(201):
        (parked / f"{number:032x}.json").unlink()
    assert (code, err) == (0, "")
    assert len(out.splitlines()) >= 201


async def test_the_documentation_is_under_the_prefix(gateway: LiveGateway):
    client = gateway.client
    home = await client.get("/")
    assert (home.status_code, home.headers["location"]) == (307, f"{PREFIX}/docs")
    page = (await client.get("/docs")).text
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(links) == 3
    for link in links:
        assert (await client.get(stripped(link))).status_code == 200
    assert f'url: "{PREFIX}/openapi.json"' in (await client.get("/docs/start.js")).text
    document = await read(client, "/openapi.json")
    assert document["servers"] == [{"url": PREFIX}]
    assert "/v1/studies" in document["paths"]
    missing = await client.get("/nothing")
    assert missing.json()["detail"] == f"See {PREFIX}/docs for what is."


async def read(client: httpx.AsyncClient, path: str) -> dict[str, object]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    document: dict[str, object] = answer.json()
    return document
