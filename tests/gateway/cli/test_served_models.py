"""`radstream models list|show`: what the console shows of models."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.settings import RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.http.test_model_reports import accepted
from tests.support.commands import run_beside
from tests.support.gateway import LiveGateway, running_gateway, settings_for, until


@pytest.fixture
async def ruled(triton: EmbeddedTriton, tmp_path: Path) -> AsyncIterator[LiveGateway]:
    """A gateway whose rules give the model a part."""
    file = tmp_path / "routing.json"
    when = {"field": "sender", "equals": "room-2"}
    rule = {"name": "ward", "when": when, "models": [{"name": "brightness", "version": "1"}]}
    file.write_text(json.dumps({"schema": "radstream.routing/1", "rules": [rule]}))
    settings = settings_for(triton.grpc_url, tmp_path / "store").model_copy(
        update={"routing": RoutingSettings(file=file)}
    )
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield gateway


async def models(gateway: LiveGateway, *arguments: str) -> tuple[int, str]:
    return await run_beside("models", *arguments, "--url", gateway.url)


async def test_versions_are_listed_with_their_parts_and_shown_with_their_acceptance(
    ruled: LiveGateway,
):
    code, out = await models(ruled, "list")
    assert code == 0
    head, line = out.splitlines()
    assert head.split() == ["MODEL", "VERSION", "STATE", "ACCEPTED", "PARTS"]
    assert line.split() == ["brightness", "1", "ready", "-", "live", "100", "%", "of", "ward"]
    [listed] = (await models(ruled, "list", "--json"))[1].splitlines()
    assert json.loads(listed)["parts"][0]["rule"] == "ward"
    assert "acceptance: none" in (await models(ruled, "show", "brightness"))[1]
    report = await accepted(ruled)
    _, out = await models(ruled, "show", "brightness:1")
    for words in (
        "title: Brightness",
        "part: live 100 % of ward",
        "acceptance: Dr. A",
        "signature none",
        "bright, 100 studies: AUC 0.950 (0.900 to 0.980), sensitivity 0.900",
    ):
        assert words in out
    assert json.loads((await models(ruled, "show", "brightness", "--json"))[1]) == report


async def test_a_model_that_is_not_there_is_told_with_what_to_do(ruled: LiveGateway):
    code, out = await models(ruled, "show", "other")
    assert code == 1
    assert "`radstream models list`" in out
    code, out = await models(ruled, "show", "brightness:7")
    assert code == 1
    assert "Unknown model" in out
