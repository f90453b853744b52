"""A shadow model reads what others have read, unseen, and costs nobody anything when it fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from structlog.testing import capture_logs

from gateway.settings import RoutingSettings, ShadowSettings, TritonSettings
from tests.gateway.studies.test_taken_images import with_contracts
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.inference import (
    ScriptedTriton,
    answers,
    brightness,
    held_back,
    indexed,
    never,
    refuses,
    serving,
)
from tests.support.models import GOLDEN_LEVEL, flat_png
from tests.support.telemetry import readings_in

RULE: dict[str, Any] = {
    "name": "trial",
    "when": {"all": []},
    "models": [{"name": "brightness"}, {"name": "second", "version": "1", "mode": "shadow"}],
}
PAIR = {"shadow": "second", "shadow_version": "1", "model": "brightness", "version": "1"}
READ = {"model": "second", "version": "1", "outcome": "read"}


class Asked:
    """Models asked for readings, none of the golden image among them, and what each answers."""

    def __init__(self, second: Any = None, first: Any = None) -> None:
        self.models: list[str] = []
        self.second = second or answers(brightness())
        self.first = first or answers(brightness())

    async def __call__(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        mean = float(np.frombuffer(request.raw_input_contents[0], np.float32).mean())
        if mean == pytest.approx(GOLDEN_LEVEL / 255, abs=0.01):
            return brightness()
        self.models.append(request.model_name)
        answer = self.second if request.model_name == "second" else self.first
        return await answer(request, context)


@asynccontextmanager
async def running(
    folder: Path, refresh_s: float = 300, brightness: Any = None, **shadow: Any
) -> AsyncIterator[tuple[ScriptedTriton, LiveGateway]]:
    triton = ScriptedTriton()
    triton.index = answers(indexed(("brightness", "1", "READY"), ("second", "1", "READY")))
    triton.config = with_contracts(brightness=brightness or {})
    file = folder / "routing.json"
    file.write_text(json.dumps({"schema": "radstream.routing/1", "rules": [RULE]}))
    async with serving(triton) as url:
        settings = settings_for(url, folder / "store").model_copy(
            update={
                "routing": RoutingSettings(file=file),
                "shadow": ShadowSettings(**({"share": 1} | shadow)),
                # A slow machine must not find the models away in between: what is dropped stays so.
                "triton": TritonSettings(url=url, refresh_s=refresh_s, probe_timeout_s=30),
            }
        )
        async with running_gateway(settings) as gateway:
            yield triton, gateway


async def send(gateway: LiveGateway, level: int, **fields: Any) -> dict[str, Any]:
    response = await gateway.client.post(
        "/v1/studies", **multipart(metadata(**fields), flat_png(level))
    )
    assert response.status_code == 200, response.text
    return response.json()


async def counted(gateway: LiveGateway, name: str, number: float, **labels: str) -> None:
    """Wait until a metric has come to a number."""

    async def has_come() -> bool:
        return await gateway.metric(name, **labels) >= number

    await until(has_come)


def shadows(gateway: LiveGateway) -> list[str]:
    return [name for name in gateway.stored() if "/shadows/" in name]


async def test_its_reading_is_kept_compared_and_shown_nowhere(tmp_path: Path):
    async with running(tmp_path) as (triton, gateway):
        triton.infer = Asked(answers(brightness(-1.0)))
        answer = await send(gateway, 200, study_id="S1")
        await counted(gateway, "radstream_shadow_readings_total", 1, **READ)
        [name] = shadows(gateway)
        assert name.startswith("results/S1/shadows/")
        kept = json.loads((gateway.settings.store.folder / name).read_text())
        [pair] = kept["pairs"]
        assert (pair["positive"], pair["shadow_positive"]) == (True, False)
        for path in ("", "?explain", "/images/1/heatmap.png", "/report.dcm", "/fhir"):
            shown = await gateway.client.get(f"/v1/studies/S1{path}")
            assert b"0.268941" not in shown.content  # its probability
        again = (await gateway.client.get("/v1/studies/S1")).json()
        assert again["images"] == answer["images"]
        assert [each["model"]["name"] for each in again["images"][0]["readings"]] == ["brightness"]
        assert "second" not in (await gateway.client.get("/v1/studies")).text
        verdicts = {**PAIR, "label": "bright", "verdicts": "only_shown"}
        await gateway.comes_to(1, "radstream_agreement_pairs_total", **verdicts)
        assert await gateway.metric("radstream_findings_total", **_second()) == 0
    told = readings_in(gateway.settings.telemetry.folder)
    found = {event["mode"]: event for event in told}
    assert found["shadow"]["image_ref"] == found["live"]["image_ref"]
    assert (found["shadow"]["model"], found["live"]["model"]) == ("second", "brightness")
    assert (found["shadow"]["positive"], found["live"]["positive"]) == (False, True)
    assert found["shadow"]["probability"] == pytest.approx(0.268941, abs=1e-5)


def _second() -> dict[str, str]:
    return {"model": "second", "version": "1", "label": "bright", "positive": "false"}


@pytest.mark.parametrize(
    "failure", [refuses(grpc.StatusCode.INTERNAL), answers(brightness(float("nan")))]
)
async def test_its_failure_is_counted_and_noticed_by_nobody(tmp_path: Path, failure: Any):
    async with running(tmp_path) as (triton, gateway):
        triton.infer = Asked(failure)
        answer = await send(gateway, 200)
        failed = READ | {"outcome": "failed"}
        await counted(gateway, "radstream_shadow_readings_total", 1, **failed)
        assert answer["status"] == "completed"
        study = await gateway.client.get(f"/v1/studies/{answer['study_id']}")
        assert study.json()["status"] == "completed"
        assert await gateway.is_ready()
        for error in ("InferenceFailedError", "ContractError"):
            assert await gateway.metric("radstream_inference_errors_total", error=error) == 0
        assert shadows(gateway) == []
        triton.infer = Asked()
        await send(gateway, 100)
        await counted(gateway, "radstream_shadow_readings_total", 1, **READ)


async def test_what_finds_the_queue_full_is_dropped_and_studies_go_on(tmp_path: Path):
    async with running(tmp_path, queue=1) as (triton, gateway):
        triton.infer = asked = Asked(never)
        await send(gateway, 10)
        await until(lambda: "second" in asked.models)
        for level in (20, 30, 40):
            assert (await send(gateway, level))["status"] == "completed"
        assert await gateway.metric("radstream_shadow_waiting") == 1
        dropped = await gateway.metric("radstream_shadow_dropped_total", reason="queue_full")
        assert dropped == 2


async def test_it_waits_while_a_study_is_at_work(tmp_path: Path):
    async with running(tmp_path) as (triton, gateway):
        goes_on = asyncio.Event()
        triton.infer = asked = Asked(first=held_back(goes_on, answers(brightness())))
        held = asyncio.create_task(send(gateway, 10))
        await until(lambda: asked.models == ["brightness"])
        asked.first = answers(brightness())
        for level in range(20, 40):
            await send(gateway, level)
        assert await gateway.metric("radstream_shadow_waiting") == 19  # one is next
        assert set(asked.models) == {"brightness"}
        goes_on.set()
        await held
        await counted(gateway, "radstream_shadow_readings_total", 21, **READ)


async def test_a_study_that_was_deleted_meanwhile_gets_none(tmp_path: Path):
    async with running(tmp_path) as (triton, gateway):
        goes_on = asyncio.Event()
        triton.infer = asked = Asked(held_back(goes_on, answers(brightness())))
        answer = await send(gateway, 10)
        await until(lambda: "second" in asked.models)
        gone = await gateway.client.delete(f"/v1/studies/{answer['study_id']}")
        assert gone.is_success
        goes_on.set()
        await counted(gateway, "radstream_shadow_dropped_total", 1, reason="study_gone")
        assert shadows(gateway) == []


async def test_a_model_that_is_away_reads_nothing(tmp_path: Path):
    async with running(tmp_path, refresh_s=0.5) as (triton, gateway):
        triton.index = answers(
            indexed(("brightness", "1", "READY"), ("second", "1", "UNAVAILABLE"))
        )
        await until(lambda: triton.calls.count("index") > 1)

        async def is_away() -> bool:
            labels = {"model": "second", "version": "1"}
            return await gateway.metric("radstream_model_ready", **labels) == 0

        await until(is_away)
        assert (await send(gateway, 10))["status"] == "completed"
        await counted(gateway, "radstream_shadow_dropped_total", 1, reason="not_taken")


async def test_a_picture_that_it_does_not_take_is_told_without_the_senders_words(tmp_path: Path):
    accepts = {"modalities": ["CR", "DX"], "body_parts": ["CHEST", "KNEE"], "views": ["AP", "PA"]}
    with capture_logs() as logs:
        async with running(tmp_path, brightness={"accepts": accepts}) as (_, gateway):
            await send(gateway, 10, body_part="KNEE")
            await counted(gateway, "radstream_shadow_dropped_total", 1, reason="not_taken")
    [told] = [entry for entry in logs if entry["event"] == "shadow.not_taken"]
    assert told["error"] == "NoModelAcceptsError"
    assert "KNEE" not in str(told)
