"""A model that was away reads the image once it is back, though nobody sends it again."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.settings import PendingSettings, RoutingSettings
from tests.gateway.studies.test_taken_images import BOTH, by_model, with_contracts
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import (
    LiveGateway,
    audit_trail,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.inference import ScriptedTriton, answers, indexed, refuses, serving
from tests.support.models import flat_png

AWAY = refuses(grpc.StatusCode.UNAVAILABLE)


@asynccontextmanager
async def running(
    folder: Path, *, give_up_s: float = 3600
) -> AsyncIterator[tuple[ScriptedTriton, LiveGateway]]:
    triton = ScriptedTriton()
    triton.index = answers(indexed(("brightness", "1", "READY"), ("second", "1", "READY")))
    triton.config = with_contracts()
    file = folder / "routing.json"
    file.write_text(json.dumps({"schema": "radstream.routing/1", "rules": [BOTH]}))
    async with serving(triton) as url:
        settings = settings_for(url, folder / "store").model_copy(
            update={
                "routing": RoutingSettings(file=file),
                "pending": PendingSettings(sweep_s=0.2, give_up_s=give_up_s),
            }
        )
        async with running_gateway(settings) as gateway:
            yield triton, gateway


async def study(gateway: LiveGateway, study_id: str) -> dict[str, Any]:
    return (await gateway.client.get(f"/v1/studies/{study_id}")).json()


@pytest.mark.parametrize("image", [flat_png(200), file_of(radiograph())], ids=["PNG", "DICOM"])
async def test_the_reading_comes_once_the_model_is_back(tmp_path: Path, image: bytes):
    async with running(tmp_path) as (triton, gateway):
        triton.infer = by_model(second=AWAY)
        document = metadata(body_part="CHEST", modality="DX")
        sent = await gateway.client.post("/v1/studies", **multipart(document, image))
        assert sent.status_code == 200, sent.text
        assert sent.json()["status"] == "partial"
        assert sent.json()["missing_readings"][0]["is_retried"]
        triton.infer = by_model()
        study_id = document["study_id"]

        async def is_whole() -> bool:
            return (await study(gateway, study_id))["status"] == "completed"

        await until(is_whole)
        [found] = (await study(gateway, study_id))["images"]
        assert [each["model"]["name"] for each in found["readings"]] == ["brightness", "second"]
        assert "missing_readings" not in await study(gateway, study_id)

        async def is_forgotten() -> bool:
            return not any(name.startswith("work/readings/") for name in gateway.stored())

        await until(is_forgotten)
        operations = [each["operation"] for each in audit_trail(gateway.settings)]
        assert operations.count("owed readings: read") >= 1


async def test_a_model_that_is_away_for_long_is_asked_again_by_the_operator(tmp_path: Path):
    async with running(tmp_path, give_up_s=1) as (triton, gateway):
        triton.infer = by_model(second=AWAY)
        document = metadata()
        await gateway.client.post("/v1/studies", **multipart(document, flat_png(200)))
        study_id = document["study_id"]

        async def given_up() -> bool:
            [missing] = (await study(gateway, study_id))["missing_readings"]
            return not missing["is_retried"]

        await until(given_up)
        triton.infer = by_model()

        async def is_back() -> bool:
            models = (await gateway.client.get("/v1/models")).json()["models"]
            return all(each["state"] == "ready" for each in models)

        await until(is_back)  # else it is given up once more, after the second that it has
        [item] = (await gateway.client.get("/v1/parked")).json()["parked"]
        retried = await gateway.client.post(f"/v1/parked/{item['id']}/retry")
        assert retried.json()["outcome"] == "pending"

        async def is_whole() -> bool:
            return (await study(gateway, study_id))["status"] == "completed"

        await until(is_whole)


async def test_a_reading_that_the_rules_ask_for_no_more_is_owed_no_more(tmp_path: Path):
    async with running(tmp_path) as (triton, gateway):
        triton.infer = by_model(second=AWAY)
        document = metadata()
        await gateway.client.post("/v1/studies", **multipart(document, flat_png(200)))
        one = BOTH | {"models": [{"name": "brightness"}]}
        file = tmp_path / "routing.json"
        file.write_text(json.dumps({"schema": "radstream.routing/1", "rules": [one]}))

        async def is_whole() -> bool:
            return (await study(gateway, document["study_id"]))["status"] == "completed"

        await until(is_whole)
