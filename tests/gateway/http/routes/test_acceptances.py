"""Where acceptance is required, a version serves once a person has accepted its page."""

import base64
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.acceptance.signature import signed
from gateway.monitoring.minutes import Minute, minute_key
from gateway.monitoring.silences import healths
from gateway.schemas.acceptance import AcceptancePage
from gateway.schemas.metadata import PROBE_PREFIX
from gateway.settings import AcceptanceSettings, ConsoleSettings, ModelSettings, MonitoringSettings
from gateway.storage.documents import create_document
from gateway.storage.folder import FolderStore
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.acceptance.test_signature import written
from tests.support.gateway import (
    LiveGateway,
    audit_trail,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png
from tests.support.monitoring import tallied

PATH = "/v1/models/brightness/versions/1/acceptance"


@pytest.fixture
async def strict(triton: EmbeddedTriton, tmp_path: Path) -> AsyncIterator[LiveGateway]:
    """A gateway that serves accepted versions alone, and has a key to check their pages by."""
    key = written(tmp_path / "key.pem", Ed25519PrivateKey.generate())
    settings = settings_for(triton.grpc_url, tmp_path / "store").model_copy(
        update={
            "models": ModelSettings(require_acceptance=True),
            "acceptance": AcceptanceSettings(key_file=key.with_suffix(".pub")),
            "monitoring": MonitoringSettings(sweep_s=0.2),
            "console": ConsoleSettings(enabled=True),
        }
    )
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield gateway


def sent(
    key: Path, contract_sha256: str, *, version: str = "1", run: str | None = None
) -> dict[str, Any]:
    page = AcceptancePage.model_validate(
        {
            "made_at": dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
            "gateway_version": "0.1.0",
            "studies": 0,
            "data_sha256": "0" * 64,
            "labels_sha256": "0" * 64,
            "run": run,
            "versions": [
                {
                    "name": "brightness",
                    "version": version,
                    "title": "Brightness",
                    "contract_sha256": contract_sha256,
                    "read": 0,
                    "labels": [],
                }
            ],
        }
    ).model_dump_json(by_alias=True)
    signature = base64.b64encode(signed(page.encode(), key)).decode()
    return {"page": page, "signature": signature, "accepted_by": "Dr. A"}


async def told(gateway: LiveGateway) -> dict[str, Any]:
    models: list[dict[str, Any]] = (await gateway.client.get("/v1/models")).json()["models"]
    return next(each for each in models if each["name"] == "brightness")


async def test_a_version_serves_once_its_page_is_accepted(strict: LiveGateway, tmp_path: Path):
    client, key = strict.client, tmp_path / "key.pem"
    model = await told(strict)
    assert model["is_accepted"] is False
    refused = await client.post("/v1/studies", **multipart(metadata(), flat_png(9)))
    assert (refused.status_code, refused.json()["type"]) == (
        *(503,),
        "urn:radstream:problem:model-unavailable",
    )
    named = metadata(model={"name": "brightness", "version": "1"})
    answer = await client.post("/v1/studies", **multipart(named, flat_png(9)))
    assert answer.json()["type"] == "urn:radstream:problem:unknown-model"
    run = metadata(study_id=f"{PROBE_PREFIX}accept-1")
    assert (await client.post("/v1/studies", **multipart(run, flat_png(9)))).status_code == 200
    answer = await client.post(PATH, json=sent(key, model["contract_sha256"]))
    assert answer.status_code == 200, answer.text
    assert (answer.json()["accepted_by"], answer.json()["is_signature_checked"]) == ("Dr. A", True)
    assert (await told(strict))["is_accepted"] is True
    answer = await client.post("/v1/studies", **multipart(named, flat_png(9)))
    assert answer.status_code == 200, answer.text
    [act] = [each for each in audit_trail(strict.settings) if "acceptance" in each["operation"]]
    assert act["changes"] == [{"pointer": "/models/brightness/1/accepted_by", "after": "Dr. A"}]
    assert len(act["document"]) == 64


async def test_the_readings_of_a_run_become_the_reference_for_a_person_who_says_so(
    strict: LiveGateway, tmp_path: Path
):
    run, digest = "0123456789abcdef", (await told(strict))["contract_sha256"]
    body = sent(tmp_path / "key.pem", digest, run=run) | {"is_reference": True}
    refused = await strict.client.post(PATH, json=body)
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/is_reference"]
    assert (await told(strict))["is_accepted"] is False
    objects = FolderStore(strict.settings.store.folder)
    await objects.open()
    place = Minute(dt.datetime.now(dt.UTC) - dt.timedelta(hours=1), "brightness", "1", run)
    readings = tallied(*[{"label": "bright"}] * 100)
    await create_document(objects, minute_key(place, "0a"), readings)
    accepted: dict[str, Any] = {}

    async def is_accepted() -> bool:
        answer = await strict.client.post(PATH, json=body)
        accepted.update(answer.json())
        return answer.is_success

    await until(is_accepted)
    assert accepted["reference_readings"] == 100
    [health] = await healths(objects)
    assert (health.reference_source, health.reference) == ("acceptance", readings)
    assert (health.readings, health.reference_until) == (0, health.reference_since)
    page = (await strict.client.get("/console/models")).text
    assert "100 readings of its acceptance" in page
    *_, act = [each for each in audit_trail(strict.settings) if "acceptance" in each["operation"]]
    assert act["changes"] == [
        {"pointer": "/models/brightness/1/accepted_by", "after": "Dr. A"},
        {"pointer": "/models/brightness/1/reference", "after": f"acceptance run {run}"},
    ]


async def test_what_is_no_page_of_the_version_as_it_is_served_is_refused(
    strict: LiveGateway, tmp_path: Path
):
    key, digest = tmp_path / "key.pem", (await told(strict))["contract_sha256"]
    right = sent(key, digest)
    for body, pointers in (
        ({"page": "{}", "accepted_by": ""}, {"/page", "/accepted_by"}),
        (sent(key, digest, version="2"), {"/page"}),
        (sent(key, "f" * 64), {"/page"}),
        (right | {"signature": None}, {"/signature"}),
        (right | {"page": right["page"] + " "}, {"/signature"}),
    ):
        answer = await strict.client.post(PATH, json=body)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:radstream:problem:invalid-acceptance"
        assert {fault["pointer"] for fault in answer.json()["errors"]} == pointers
    other = PATH.replace("/1/", "/7/")
    answer = await strict.client.post(other, json=right)
    assert answer.json()["type"] == "urn:radstream:problem:unknown-model"
    assert (await told(strict))["is_accepted"] is False
