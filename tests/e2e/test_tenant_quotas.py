"""A hospital that floods a shared gateway is held to its quota, and the other is answered."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import metadata, multipart, running_gateway, until
from tests.support.models import flat_png
from tests.support.tenants import Hospitals, routing_document, shared_settings

pytestmark = pytest.mark.server

A_MINUTE = 3
MANY = 12


async def send(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/studies", **multipart(metadata(), flat_png(153)))


async def test_the_one_that_floods_is_refused_and_the_other_is_not(
    triton: EmbeddedTriton, tmp_path: Path
):
    settings, keys = shared_settings(triton.grpc_url, tmp_path)
    quotas = [{"tenant": "north", "studies_per_minute": A_MINUTE}]
    (tmp_path / "routing.json").write_text(json.dumps(routing_document(quotas=quotas)))
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        shared = Hospitals(gateway, keys)
        async with shared.client("north") as north, shared.client("south") as south:
            flood = asyncio.gather(*(send(north) for _ in range(MANY)))
            theirs = [await send(south) for _ in range(MANY)]
            answers = await flood
        assert {answer.status_code for answer in theirs} == {200}
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= MANY - 2 * A_MINUTE
        assert {answer.status_code for answer in answers} == {200, 429}
        problem = refused[0].json()
        assert problem["type"] == "urn:radstream:problem:quota-exceeded"
        assert "studies_per_minute" in problem["detail"]
        assert 1 <= int(refused[0].headers["retry-after"]) <= 60 // A_MINUTE
        async with shared.client("ops") as ops:
            metrics = (await ops.get("/metrics")).text
        assert 'quota_rejected_total{quota="studies_per_minute",tenant="north"}' in metrics
