"""What the rules say of stored images is explained by what is stored of them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.access.callers import Scope
from gateway.settings import AccessSettings, RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import add_key
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import (
    LiveGateway,
    audit_trail,
    metadata,
    multipart,
    running_gateway,
    settings_for,
)
from tests.support.models import flat_png

DOCUMENT = """
{"schema": "radstream.routing/1",
 "rules": [{"name": "acme", "when": {"all": [
    {"field": "dicom.Manufacturer", "equals": "Acme"},
    {"field": "route", "equals": "rest"}]}}],
 "otherwise": {}}
"""


@pytest.fixture
async def gateway(triton: EmbeddedTriton, tmp_path: Path) -> AsyncIterator[LiveGateway]:
    file = tmp_path / "routing.json"
    file.write_text(DOCUMENT)
    settings = settings_for(triton.grpc_url, tmp_path / "store")
    settings = settings.model_copy(update={"routing": RoutingSettings(file=file)})
    async with running_gateway(settings) as gateway:
        yield gateway


async def explained(gateway: LiveGateway, study_id: str) -> list[dict[str, Any]]:
    answer = await gateway.client.get(f"/v1/studies/{study_id}?explain")
    assert answer.status_code == 200, answer.text
    return answer.json()["routing"]


async def test_a_stored_study_is_explained_when_it_is_asked_for(gateway: LiveGateway):
    document = metadata(body_part="CHEST", modality="DX")
    images = (file_of(radiograph(Manufacturer="Acme")), flat_png(153))
    for image in images:
        sent = await gateway.client.post("/v1/studies", **multipart(document, image))
        assert sent.status_code == 200, sent.text
    plain = (await gateway.client.get(f"/v1/studies/{document['study_id']}")).json()
    assert "routing" not in plain
    first, second = await explained(gateway, document["study_id"])
    assert [first["outcome"], second["outcome"]] == ["rules", "otherwise"]
    assert first["sha256"] == plain["images"][0]["sha256"]
    acme = next(rule for rule in first["rules"] if rule["name"] == "acme")
    assert acme["applies"]
    assert [part["values"] for part in acme["when"]["parts"]] == [["Acme"], ["rest"]]


async def test_anything_else_than_explain_is_refused(gateway: LiveGateway):
    document = metadata()
    await gateway.client.post("/v1/studies", **multipart(document, flat_png(153)))
    answer = await gateway.client.get(f"/v1/studies/{document['study_id']}?explain=perhaps")
    assert answer.status_code == 422


async def test_a_key_sends_under_the_name_that_is_configured(
    triton: EmbeddedTriton, tmp_path: Path
):
    routing, keys = tmp_path / "routing.json", tmp_path / "keys.json"
    rule = {"name": "ward", "when": {"field": "sender", "equals": "hospital-a"}}
    senders = [{"name": "hospital-a", "key": "ris"}]
    document = {"schema": "radstream.routing/1", "rules": [rule], "senders": senders}
    routing.write_text(json.dumps(document))
    known, other = (add_key(keys, name, Scope.STUDIES_WRITE)[0] for name in ("ris", "other"))
    settings = settings_for(triton.grpc_url, tmp_path / "store").model_copy(
        update={
            "routing": RoutingSettings(file=routing),
            "access": AccessSettings(key_file=keys),
        }
    )
    async with running_gateway(settings) as gateway:
        answers = [
            await gateway.client.post(
                "/v1/studies",
                **multipart(metadata(), flat_png(153)),
                headers={"X-API-Key": key},
            )
            for key in (known, other)
        ]
    assert [answer.status_code for answer in answers] == [200, 422]
    assert answers[1].json()["type"] == "urn:radstream:problem:no-rule"
    sent = [each for each in audit_trail(settings) if each["operation"] == "POST /v1/studies"]
    assert [each["agent"]["name"] for each in sent] == ["ris", "other"]
    assert [each.get("unrouted") for each in sent] == [None, "no_rule"]
