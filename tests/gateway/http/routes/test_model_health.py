"""A model that drifts falls silent: it is processed, and shown and delivered nowhere till armed."""

import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.monitoring.minutes import Minute, minute_key
from gateway.schemas.metadata import PROBE_PREFIX
from gateway.settings import ConsoleSettings, MonitoringSettings, RoutingSettings
from gateway.storage.documents import create_document
from gateway.storage.folder import FolderStore
from gateway.triton.embedded import EmbeddedTriton
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
from tests.support.telemetry import readings_in

VERSION = "/v1/models/brightness/versions/1"
NAMES = {"model": "brightness", "version": "1"}
RULE = {
    "name": "brightness-drifts",
    "model": "brightness",
    "action": "silence",
    "signals": {"positive/bright": 10},
}
DOCUMENT = {
    "schema": "radstream.routing/1",
    "stop_rules": [RULE],
    "destinations": [{"name": "records", "kind": "fhir", "url": "http://127.0.0.1:9/fhir"}],
}
WHO = {"by": "Dr. Weber", "reason": "the detector was calibrated"}


async def read_before(folder: Path) -> None:
    """Put readings of an hour ago into the store: of a hundred the tenth bright, then all of 30."""
    objects = FolderStore(folder)
    await objects.open()
    began = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0) - dt.timedelta(hours=1)
    usual = [{"label": "bright", "positive": number % 10 == 0} for number in range(100)]
    for minute, readings in enumerate((usual, [{"label": "bright", "positive": True}] * 30)):
        place = Minute(began + dt.timedelta(minutes=minute), "brightness", "1")
        await create_document(objects, minute_key(place, "0a"), tallied(*readings))


@pytest.fixture
async def gateways(
    triton: EmbeddedTriton, tmp_path: Path
) -> AsyncIterator[tuple[LiveGateway, LiveGateway]]:
    """Two gateways on one store, on which the model has drifted."""
    file = tmp_path / "routing.json"
    file.write_text(json.dumps(DOCUMENT))
    await read_before(tmp_path / "store")
    settings = settings_for(triton.grpc_url, tmp_path / "store").model_copy(
        update={
            "routing": RoutingSettings(file=file),
            "console": ConsoleSettings(enabled=True),
            "monitoring": MonitoringSettings(sweep_s=0.2, reference_readings=100),
        }
    )
    second = settings_for(triton.grpc_url, tmp_path / "second")
    beside = settings.model_copy(update={"telemetry": second.telemetry, "audit": second.audit})
    async with running_gateway(settings) as one, running_gateway(beside) as other:
        await until(one.is_ready)
        await until(other.is_ready)
        yield one, other


async def sent(gateway: LiveGateway, level: int, **fields: Any) -> dict[str, Any]:
    answer = await gateway.client.post(
        "/v1/studies", **multipart(metadata(**fields), flat_png(level))
    )
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()
    return result


async def is_silent(gateway: LiveGateway) -> bool:
    return await gateway.metric("radstream_model_silent", **NAMES) == 1


async def deliveries(gateway: LiveGateway, study_id: str) -> list[str]:
    """The destinations that a study goes to."""
    answer = await gateway.client.post(f"/v1/studies/{study_id}/deliveries")
    return [each["destination"] for each in answer.json()["deliveries"]]


async def is_heard(gateway: LiveGateway) -> bool:
    return await gateway.metric("radstream_model_silent", **NAMES) == 0


def told(gateway: LiveGateway) -> list[Any]:
    """The verdicts of silent models in telemetry."""
    events = readings_in(gateway.settings.telemetry.folder)
    return [each["positive"] for each in events if each.get("mode") == "silent"]


async def test_a_drift_silences_the_model_until_a_person_arms_it(
    gateways: tuple[LiveGateway, LiveGateway],
):
    one, other = gateways
    for gateway in gateways:
        await until(lambda gateway=gateway: is_silent(gateway))
    silent = [await nothing_is_shown(*each) for each in ((one, 250), (other, 251))]

    answer = await other.client.post(f"{VERSION}/rearm", params=WHO)
    assert answer.status_code == 200, answer.text
    assert answer.json()["cause"] == "signal positive/bright is 10.000, its limit 10"
    for gateway in gateways:
        await until(lambda gateway=gateway: is_heard(gateway))
    result = await sent(one, 252)
    [reading] = result["images"][0]["readings"]
    assert [each["positive"] for each in reading["findings"]] == [True]
    assert result["status"] == "completed"
    assert await deliveries(one, result["study_id"]) == ["records"]
    for study_id in silent:
        assert await deliveries(one, study_id) == []
    trails = [record for each in gateways for record in audit_trail(each.settings)]
    acts = {each["operation"]: each for each in trails if each.get("changes")}
    fall = acts["model: silence"]
    assert (fall["agent"]["kind"], fall["changes"][0]["after"]) == ("gateway", RULE["name"])
    [armed] = [act for name, act in acts.items() if "rearm" in name]
    assert armed["reason"] == WHO["reason"]
    assert armed["changes"] == [
        {
            "pointer": "/models/brightness/1/silence",
            "before": answer.json()["cause"],
            "after": "Dr. Weber",
        }
    ]


async def nothing_is_shown(gateway: LiveGateway, level: int) -> str:
    client = gateway.client
    result = await sent(gateway, level)
    assert (result["status"], result["images"][0]["readings"]) == ("partial", [])
    [missing] = result["missing_readings"]
    assert missing["problem"]["type"] == "urn:radstream:problem:model-silent"
    assert missing["model"] == {"name": "brightness", "version": "1"}
    path = f"/v1/studies/{result['study_id']}"
    again = (await client.get(path)).json()
    for each in (result, again):
        assert '"positive":true' not in json.dumps(each, separators=(",", ":"))
    found = (await client.get("/v1/studies", params={"positive": "bright"})).text
    assert result["study_id"] not in found
    assert (await client.get(f"{path}/report.dcm")).json()["type"].endswith("model-silent")
    assert (await client.get(f"{path}/images/1/heatmap.png")).status_code == 404
    accept = {"Accept": "application/fhir+json"}
    fhir = (await client.get(path, headers=accept)).json()
    kinds = {entry["resource"]["resourceType"] for entry in fhir["entry"]}
    assert "Observation" not in kinds
    record = json.loads(
        (gateway.settings.store.folder / "results" / result["study_id"] / "result.json").read_text()
    )["record"]
    [frame] = record["readings"][0]["frames"]
    assert frame["findings"] == []
    assert [each["positive"] for each in frame["withheld"]] == [True]
    await until(lambda: told(gateway) == [True])
    return str(result["study_id"])


async def test_a_silent_model_still_answers_a_probe_and_a_new_reference_leaves_it_silent(
    gateways: tuple[LiveGateway, LiveGateway],
):
    one, _ = gateways
    await until(lambda: is_silent(one))
    [model] = [
        each
        for each in (await one.client.get("/v1/models")).json()["models"]
        if each["name"] == "brightness"
    ]
    assert model["is_silent"] is True
    result = await sent(one, 250, study_id=f"{PROBE_PREFIX}1")
    assert result["images"][0]["readings"][0]["findings"][0]["positive"] is True
    answer = await one.client.post(f"{VERSION}/reference", params=WHO)
    assert answer.status_code == 200, answer.text
    assert await is_silent(one)
    assert (await sent(one, 251))["images"][0]["readings"] == []


async def test_a_person_arms_the_model_again_in_the_console(
    gateways: tuple[LiveGateway, LiveGateway],
):
    one, _ = gateways
    await until(lambda: is_silent(one))
    page = (await one.client.get("/console/models")).text
    assert "signal positive/bright is 10.000, its limit 10" in page
    path = "/console/models/brightness/1/rearm"
    assert path in page
    assert (await one.client.post(path, data={"by": "", "reason": "x"})).status_code == 422
    assert await is_silent(one)
    answer = await one.client.post(path, data=WHO)
    assert answer.status_code == 303, answer.text
    await until(lambda: is_heard(one))
    assert path not in (await one.client.get("/console/models")).text
    [act] = [each for each in audit_trail(one.settings) if path[:15] in each["operation"]][-1:]
    assert act["reason"] == WHO["reason"]


async def test_what_is_changed_of_a_health_needs_a_version_a_name_and_a_reason(
    gateways: tuple[LiveGateway, LiveGateway],
):
    client = gateways[0].client
    for act in ("rearm", "reference"):
        unknown = await client.post(f"/v1/models/brightness/versions/9/{act}", params=WHO)
        assert unknown.json()["type"] == "urn:radstream:problem:unknown-model"
        for params in ({"by": "Dr. Weber"}, {"reason": "none"}, {"by": "\n", "reason": "none"}):
            answer = await client.post(f"{VERSION}/{act}", params=params)
            assert answer.status_code == 422, answer.text
