"""A canary that fails is rolled back by itself, on every gateway, on record, until an edit."""

import json
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from gateway.settings import PendingSettings, RoutingSettings, TritonSettings
from tests.gateway.studies.test_taken_images import with_contracts
from tests.support.gateway import (
    LiveGateway,
    audit_trail,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.inference import ScriptedTriton, answers, brightness, indexed, serving
from tests.support.models import GOLDEN_LEVEL, flat_png

CANARY = {"model": "second", "version": "1"}


def document(**changes: Any) -> str:
    roll_back = {"readings": 10, "failed_percent": 20} | changes
    canary = {"name": "second", "version": "1", "percent": 100, "roll_back": roll_back}
    model = {"name": "brightness", "version": "1", "canary": canary}
    rule = {"name": "all", "when": {"all": []}, "models": [model]}
    return json.dumps({"schema": "radstream.routing/1", "rules": [rule]})


async def failing(request: Any, context: grpc.aio.ServicerContext) -> Any:
    """Answer for all but the canary, which has its golden image right and nothing else."""
    mean = float(np.frombuffer(request.raw_input_contents[0], np.float32).mean())
    is_golden = mean == pytest.approx(GOLDEN_LEVEL / 255, abs=0.01)
    if request.model_name == "second" and not is_golden:
        await context.abort(grpc.StatusCode.INTERNAL, "out of memory")
    return brightness()


async def send(gateway: LiveGateway, level: int) -> Any:
    return await gateway.client.post("/v1/studies", **multipart(metadata(), flat_png(level)))


async def is_back(gateway: LiveGateway) -> bool:
    return await gateway.metric("radstream_canary_rolled_back", **CANARY) == 1


async def reads(gateway: LiveGateway, level: int) -> str:
    response = await send(gateway, level)
    assert response.status_code == 200, response.text
    return str(response.json()["images"][0]["readings"][0]["mode"])


async def test_a_canary_that_fails_is_rolled_back_by_all_gateways_until_an_edit(tmp_path: Path):
    triton = ScriptedTriton()
    triton.index = answers(indexed(("brightness", "1", "READY"), ("second", "1", "READY")))
    triton.config = with_contracts()
    file = tmp_path / "routing.json"
    file.write_text(document())
    async with serving(triton) as url:
        settings = settings_for(url, tmp_path / "store").model_copy(
            update={
                "routing": RoutingSettings(file=file),
                "pending": PendingSettings(sweep_s=0.2),
                "triton": TritonSettings(url=url, refresh_s=300, probe_timeout_s=30),
            }
        )
        async with running_gateway(settings) as one, running_gateway(settings) as other:
            assert await reads(one, 10) == "canary"
            triton.infer = failing
            for level in range(20, 29):
                assert (await send(one, level)).status_code == 502
            await until(lambda: is_back(one))
            await until(lambda: is_back(other))
            assert [await reads(each, 50) for each in (one, other)] == ["live", "live"]
            [record] = [
                each for each in audit_trail(settings) if each["operation"] == "canary: roll back"
            ]
            assert record["reason"] == "90.0 percent of 10 readings failed"
            assert (record["agent"]["name"], len(record["document"])) == ("gateway", 32)
            triton.infer = answers(brightness())
            unfinished = file.with_suffix(".new")
            unfinished.write_text(document(failed_percent=30))
            unfinished.replace(file)

            async def are_armed() -> bool:
                return not (await is_back(one) or await is_back(other))

            await until(are_armed)
            assert [await reads(each, 60) for each in (one, other)] == ["canary", "canary"]
