"""The console in Chromium: every page, at both widths, in both schemes and languages."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.access.callers import Scope
from gateway.settings import RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.console.conftest import KeyedConsole, accept_brightness, with_console
from tests.support.delivery import web
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import is_processed, store
from tests.support.dimse import free_port
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png, png

BROWSER = Path(__file__).parent / "browser"
HOSTILE = "<img src=x onerror=alert(1)>"
PAGES = (
    *("/console/studies", "/console/send", "/console/queue", "/console/models", "/console/live"),
    *("/console/destinations", "/console/destinations/vna", "/console/rules"),
    "/console/models/brightness/1",
    *("/console/studies/none", "/console/nowhere", "/console/studies?q=none&state=failed"),
)

pytestmark = pytest.mark.timeout(300)


async def driven(script: str, *arguments: str) -> Any:
    """What a script found; the browser's console had no error and no page asked anything."""
    process = await asyncio.create_subprocess_exec(
        *("node", str(BROWSER / script), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, (output[-2000:].decode(), errors[-4000:].decode())
    answer = json.loads(output)
    assert answer["errors"] == []
    return answer["found"]


def views(*paths: str) -> Iterator[dict[str, Any]]:
    for path in paths:
        yield {"path": path, "width": 1280, "scheme": "light", "locale": "en"}
        yield {"path": path, "width": 390, "scheme": "dark", "locale": "de"}


async def sent(console: LiveGateway, image: bytes, **attributes: str) -> str:
    document = metadata(**attributes)
    answer = await console.client.post("/v1/studies", **multipart(document, image))
    assert answer.status_code == 200
    study_id: str = document["study_id"]
    return study_id


async def parked(console: LiveGateway) -> str:
    document = metadata()
    blank = png(np.full((32, 32), 100, np.uint8))
    answer = await console.client.post(
        "/v1/studies", headers={"Prefer": "respond-async"}, **multipart(document, blank)
    )
    study_id: str = document["study_id"]

    async def has_failed() -> bool:
        result = (await console.client.get(f"/v1/studies/{study_id}")).json()
        return result["status"] == "failed"

    assert answer.status_code == 202
    await until(has_failed)
    return study_id


async def hostile_instance(console: LiveGateway) -> str:
    """The study_id of a DICOM study whose texts are markup."""
    instance = radiograph(PatientID=HOSTILE, AccessionNumber="<b>'\"&", PatientName=f"{HOSTILE}^")
    assert (await store(console.client, file_of(instance))).status_code == 200
    uid = instance.StudyInstanceUID
    await is_processed(console.client, uid, 1)
    page = (await console.client.get(f"/console/studies?q={uid}")).text
    found = re.search(r'href="/console/studies/([^"]+)"', page)
    assert found is not None
    return found[1]


async def test_pages_are_accessible_and_whole(console: LiveGateway) -> None:
    await accept_brightness(console, HOSTILE)
    bright = await sent(console, flat_png(250))
    long_name = await sent(console, flat_png(20), study_id="W" * 64)
    paths = [f"/console/studies/{each}" for each in (bright, long_name, await parked(console))]
    paths += [f"/console/studies/{bright}/audit"]
    paths.append(f"/console/studies/{await hostile_instance(console)}")
    found = await driven("pages.js", console.url, json.dumps([*views(*PAGES, *paths)]))
    assert {view["path"]: view["faults"] for view in found if view["faults"]} == {}
    assert {view["language"] for view in found} == {"en", "de"}
    [told, *_] = [view["text"] for view in found if view["path"] == paths[-1]]
    assert HOSTILE in told


async def test_a_finding_is_told_as_what_a_model_suggests(console: LiveGateway) -> None:
    study_id = await sent(console, flat_png(250))
    for path in (f"/console/studies/{study_id}", f"/console/studies?q={study_id}"):
        page = (await console.client.get(path)).text
        assert '<span class="finding positive">Suggests bright</span>' in page


async def test_the_page_to_sign_in_is_accessible(keyed: KeyedConsole) -> None:
    found = await driven("pages.js", keyed.gateway.url, json.dumps([*views("/console/queue")]))
    assert [(view["status"], view["faults"]) for view in found] == [(401, []), (401, [])]


async def test_a_reader_looks_at_a_study(console: LiveGateway) -> None:
    study_id = await sent(console, flat_png(250, 400, 500))
    seen = await driven("study.js", console.url, study_id)
    first, changed, last = seen["first"], seen["changed"], seen["last"]
    assert (first["opacity"], first["slope"], first["pressed"]) == ("0.7", 1, 1)
    assert abs(first["covers"]) <= 1
    assert (changed["opacity"], changed["slope"]) == ("0.2", 2)
    assert "scale(1.56" in changed["plane"]
    assert "translate(40px" in changed["plane"]
    assert (last["slope"], last["pressed"], last["shown"]) == (1, 0, 0)
    assert "scale(1)" in last["plane"]


async def test_a_person_sends_files(console: LiveGateway, tmp_path: Path) -> None:
    hostile = f"{HOSTILE}.png".replace("/", "")
    document = metadata()
    files = {
        "one.png": flat_png(240),
        "two.png": flat_png(20),
        "two.json": json.dumps(document).encode(),
        "lone.json": b"{}",
        "broken.png": flat_png(240)[:70],
        "wrong.png": flat_png(230),
        "wrong.json": b"[",
        hostile: b"no picture",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    sent = await driven("send.js", console.url, *(str(tmp_path / name) for name in files))
    answers = {each["name"]: each for each in sent}
    assert set(answers) == {
        *("one.png", "two.png + two.json", "lone.json", "broken.png", "wrong.png + wrong.json"),
        hostile,
    }
    assert "Suggests bright" in answers["one.png"]["answer"]
    assert "Does not suggest bright" in answers["two.png + two.json"]["answer"]
    assert answers["two.png + two.json"]["link"].endswith(document["study_id"])
    assert "No picture has the name" in answers["lone.json"]["answer"]
    assert "Damaged image" in answers["broken.png"]["answer"]
    assert "no JSON" in answers["wrong.png + wrong.json"]["answer"]
    assert "Unsupported image format" in answers[hostile]["answer"]
    assert {each["scripts"] for each in sent} == {0}


async def test_an_operator_discards_what_is_parked(console: LiveGateway) -> None:
    study_id = await parked(console)
    told = await driven("queue.js", console.url)
    assert "Done:" in told
    assert study_id not in told
    assert "Nothing is parked" in told


async def test_pages_follow_while_they_are_looked_at(keyed: KeyedConsole, tmp_path: Path) -> None:
    key, _ = keyed.key(*Scope)
    async with keyed.signed_in(key):  # the gateway has read the key file by then
        image = tmp_path / "image.png"
        image.write_bytes(flat_png(250))
        document = json.dumps(metadata())
        assert await driven("follow.js", keyed.gateway.url, key, document, str(image)) == []


async def test_an_operator_tests_a_destination_and_drops_a_file_on_the_rules(
    triton: EmbeddedTriton, tmp_path: Path
) -> None:
    port = free_port()
    rule = {
        "name": "known-patient",
        "when": {"field": "dicom.PatientID", "equals": HOSTILE},
        "models": [{"name": "brightness"}],
        "destinations": ["vna"],
    }
    document = {
        "schema": "radstream.routing/1",
        "destinations": [web("vna", f"http://127.0.0.1:{port}/dicom-web")],
        "rules": [rule],
    }
    routing = tmp_path / "routing.json"
    routing.write_text(json.dumps(document))
    file = tmp_path / f"{HOSTILE}.dcm".replace("/", "")
    file.write_bytes(file_of(radiograph(PatientID=HOSTILE, PatientName=f"{HOSTILE}^")))
    settings = with_console(
        settings_for(triton.grpc_url, tmp_path / "store"), routing=RoutingSettings(file=routing)
    )
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        seen = await driven("operate.js", gateway.url, "vna", str(file))
    assert [(each["scripts"], each["faults"]) for each in seen] == [(0, []), (0, [])]
    for each in seen:
        assert f"refuses connections to port {port}" in each["tested"]
        assert file.name in each["explained"]
        assert f"dicom.PatientID equals {HOSTILE}" in each["explained"]
        assert "brightness" in each["explained"]
