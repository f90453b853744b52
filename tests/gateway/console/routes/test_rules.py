"""Rules are shown as they stand, explained for a file, and tried in an edited document."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.access.callers import Scope
from gateway.settings import RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.console.conftest import KeyedConsole, listed, sent, with_console
from tests.gateway.console.routes.test_queue import parked
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

HOSTILE = "<script>alert(1)</script>"
DOCUMENT: dict[str, Any] = {
    "schema": "radstream.routing/1",
    "senders": [{"name": "room-2", "ae_title": "XR2", "addresses": ["10.0.0.0/8"]}],
    "rules": [
        {
            "name": "chest",
            "when": {
                "all": [
                    {"field": "metadata.body_part", "equals": "CHEST"},
                    {"not": {"field": "metadata.note", "equals": HOSTILE}},
                ]
            },
            "models": [
                {
                    "name": "brightness",
                    "version": "1",
                    "canary": {"name": "brightness", "version": "2", "percent": 12.5},
                }
            ],
        },
        {
            "name": "hands",
            "when": {"field": "metadata.body_part", "equals": "HAND"},
            "keeps_out": True,
        },
    ],
    "otherwise": {"models": [{"name": "brightness"}]},
}


@dataclass(frozen=True)
class Site:
    gateway: LiveGateway
    file: Path

    async def page(self) -> str:
        return (await self.gateway.client.get("/console/rules")).text

    async def compare(self, document: Any) -> str:
        text = document if isinstance(document, str) else json.dumps(document)
        answer = await self.gateway.client.post("/console/rules/compare", data={"document": text})
        return answer.text

    async def explain(self, query: str = "", **attributes: Any) -> str:
        answer = await self.gateway.client.post(
            f"/console/rules/explain{query}", **multipart(metadata(**attributes), flat_png(99))
        )
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
async def site(triton: EmbeddedTriton, tmp_path: Path) -> AsyncIterator[Site]:
    file = tmp_path / "routing.json"
    file.write_text(json.dumps(DOCUMENT))
    settings = settings_for(triton.grpc_url, tmp_path / "store")
    settings = with_console(settings, routing=RoutingSettings(file=file))
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield Site(gateway, file)


async def test_rules_are_shown_in_order_with_what_follows_of_them(site: Site):
    page = await site.page()
    names = re.findall(r"<h3>([a-z-]+)</h3>", page, re.IGNORECASE)
    assert names[:4] == ["own-results", "quality-control", "secondary-captures", "chest"]
    for words in ("built in", "keeps out", "all of", "metadata.body_part equals CHEST", "in force"):
        assert words in page
    assert "canary brightness 2 for 12.5 % of studies" in page
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page


async def test_images_that_rules_refuse_are_counted_on_the_page(site: Site):
    assert "0 without a rule, 0 kept out" in await site.page()
    document = metadata(body_part="HAND")
    answer = await site.gateway.client.post("/v1/studies", **multipart(document, flat_png(99)))
    assert answer.status_code == 422
    assert "0 without a rule, 1 kept out" in await site.page()


async def test_a_model_is_shown_with_its_part_in_the_rules(site: Site):
    page = (await site.gateway.client.get("/console/models")).text
    assert "87.5 % of the studies of “chest”" in page
    assert "all studies of “Otherwise”" in page


async def test_a_broken_file_is_told_until_it_is_mended(site: Site):
    site.file.write_text('{"schema": "radstream.routing/1", "rules": 7}')

    async def is_told() -> bool:
        return "The file cannot be used" in await site.page()

    await until(is_told)
    page = await site.page()
    assert "/rules" in page
    assert "an older version is in force" in page
    assert "metadata.body_part equals CHEST" in page
    site.file.write_text(json.dumps(DOCUMENT))

    async def is_well() -> bool:
        return "The file cannot be used" not in await site.page()

    await until(is_well)


async def test_a_file_is_explained_condition_by_condition_and_nothing_is_stored(site: Site):
    before = await site.gateway.at_rest()
    told = await site.explain(body_part="CHEST", note=HOSTILE)
    assert "“otherwise” decides" in told
    assert "does not apply:</span><strong>chest" in told
    assert HOSTILE not in told
    assert "Applied: chest" in await site.explain(body_part="CHEST")
    assert "Kept out by: hands" in await site.explain(body_part="HAND")
    assert await site.gateway.at_rest() == before
    assert "/console/rules/explain" not in str(audit_trail(site.gateway.settings))


async def test_a_file_that_is_refused_before_any_rule_is_told(site: Site):
    told = await site.explain(study_id="..")
    assert "Refused before any rule:" in told
    assert "/study_id" in told


@pytest.mark.parametrize("query", ["?route=pigeon", "?sender=%3Cb%3E"])
async def test_an_arrival_that_cannot_be_is_refused(site: Site, query: str):
    answer = await site.gateway.client.post(
        f"/console/rules/explain{query}", **multipart(metadata(), flat_png(99))
    )
    assert answer.status_code == 422


async def test_a_change_tells_which_recent_studies_would_go_another_way(site: Site):
    # Neither is among the share of the canary.
    fields = {"accession_number": "RULED"}
    chest = await sent(site.gateway, 250, body_part="CHEST", study_id="ruled-a", **fields)
    other = await sent(site.gateway, 250, study_id="ruled-other", **fields)
    failed = await parked(site.gateway)  # it has no image
    await listed(site.gateway, "q=RULED", 2)
    await listed(site.gateway, f"q={failed}", 1)
    assert "The document is the same" in await site.compare(DOCUMENT)
    edited = json.loads(json.dumps(DOCUMENT))
    edited["rules"][1]["when"] = {"field": "metadata.body_part", "present": False}
    page = await site.compare(edited)
    assert "/rules/hands/when" in page
    assert "1 of 2 images would go another way" in page
    assert f'href="/console/studies/{other}?image=1"' in page
    assert chest not in page
    assert "Kept out by: hands" in page
    assert "in force" in page  # and it changed nothing
    assert (site.gateway.settings.routing.file or site.file).read_text() == json.dumps(DOCUMENT)
    record = audit_trail(site.gateway.settings)[-1]
    assert (record["operation"], record["action"]) == ("POST /console/rules/compare", "R")
    assert set(record["studies"]) == {chest, other, failed}


async def test_what_is_no_document_is_told_with_its_places(site: Site):
    edited = DOCUMENT | {"otherwise": {"models": "all"}}
    page = await site.compare(edited)
    assert "This is no routing document:" in page
    assert "<code>/otherwise/models</code>" in page
    page = await site.compare("</textarea><script>alert(1)</script>")
    assert "<script>alert" not in page
    assert "&lt;/textarea&gt;" in page


async def test_without_a_document_the_page_says_how_to_have_one(keyed: KeyedConsole):
    key, _ = keyed.key(Scope.OPERATE)
    async with keyed.signed_in(key) as client:
        page = (await client.get("/console/rules")).text
        assert "RADSTREAM_ROUTING__FILE" in page
        refused = await client.post("/console/rules/explain", content=b"")
        assert refused.status_code == 403  # no token of the session
