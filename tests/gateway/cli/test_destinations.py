"""`radstream destinations` and `radstream rules show`: what the console shows, as lines."""

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway.routing.in_force import digest_of
from gateway.schemas.routing import RoutingDocument
from gateway.settings import RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.commands import run_beside
from tests.support.delivery import delivering, dicom
from tests.support.delivery_archives import CLASSES, archive
from tests.support.dimse import free_port
from tests.support.gateway import LiveGateway, running_gateway, settings_for, until

# pynetdicom leaves a socket that did not connect to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
async def site(triton: EmbeddedTriton, tmp_path: Path) -> AsyncIterator[LiveGateway]:
    """A gateway with an archive that answers, and one that nobody listens for."""
    with ExitStack() as stack:
        pacs = stack.enter_context(archive(classes=[*CLASSES, Verification]))
        settings = delivering(
            triton.grpc_url, tmp_path, dicom("pacs", pacs.port), dicom("vna", free_port())
        )
        async with running_gateway(settings) as gateway:
            await until(gateway.is_ready)
            yield gateway


async def run(gateway: LiveGateway, *arguments: str) -> tuple[int, str]:
    return await run_beside(*arguments, "--url", gateway.url)


async def test_destinations_are_listed_and_tested(site: LiveGateway):
    code, out = await run(site, "destinations", "list")
    assert code == 0
    head, pacs, vna = out.splitlines()
    assert head.split()[:3] == ["DESTINATION", "STATE", "WAITING"]
    assert pacs.split()[:3] == ["pacs", "unused", "0"]
    assert vna.split()[:2] == ["vna", "unused"]
    _, out = await run(site, "destinations", "list", "--json")
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["dicom", "dicom"]
    code, out = await run(site, "destinations", "test", "pacs")
    assert (code, "it answered the C-ECHO" in out) == (0, True), out
    code, out = await run(site, "destinations", "test", "pacs", "vna", "--json")
    assert code == 1
    outcomes = [json.loads(line) for line in out.splitlines()]
    assert [(each["name"], each["passed"]) for each in outcomes] == [("pacs", True), ("vna", False)]
    assert "nothing listens there" in outcomes[1]["steps"][-1]["detail"]
    code, out = await run(site, "destinations", "test", "none")
    assert code == 1
    assert out.splitlines()[-1] == "  /name no destination has this name"


async def test_the_document_in_force_is_shown(site: LiveGateway):
    code, out = await run(site, "rules", "show")
    assert code == 0
    assert "destination pacs  dicom" in out
    _, out = await run(site, "rules", "show", "--json")
    report = json.loads(out)
    document = RoutingDocument.model_validate(report["document"])
    assert report["version"] == digest_of(document)
    assert report["is_set"]


async def test_all_that_follows_of_rules_is_shown(triton: EmbeddedTriton, tmp_path: Path):
    file, when = tmp_path / "routing.json", {"field": "sender", "equals": "er"}
    rules: list[dict[str, Any]] = [
        {"name": "er", "when": when, "lane": "stat", "completion": {"quiet_s": 60}},
        {"name": "test-ward", "when": {"not": when}, "keeps_out": True},
    ]
    document = {"schema": "radstream.routing/1", "rules": rules, "otherwise": None}
    file.write_text(json.dumps(document))
    settings = settings_for(triton.grpc_url, tmp_path / "store")
    settings = settings.model_copy(update={"routing": RoutingSettings(file=file)})
    async with running_gateway(settings) as gateway:
        code, out = await run(gateway, "rules", "show")
    assert code == 0, out
    assert out.splitlines()[1:] == [
        'rule er: {"field": "sender", "equals": "er"}',
        '  completion {"quiet_s": 60.0}',
        "  lane stat",
        'rule test-ward: {"not": {"field": "sender", "equals": "er"}}',
        "  keeps out",
    ]


async def test_a_gateway_without_a_document_says_so(triton: EmbeddedTriton, tmp_path: Path):
    async with running_gateway(settings_for(triton.grpc_url, tmp_path / "store")) as gateway:
        assert "no routing document is set" in (await run(gateway, "rules", "show"))[1]
        assert "no destinations" in (await run(gateway, "destinations", "list"))[1]
