"""Destinations are listed with their state, checked step by step, and freed of what is parked."""

import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway.access.callers import Scope
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.console.conftest import KeyedConsole, with_console
from tests.support.delivery import deliveries, delivering, dicom, stow
from tests.support.delivery_archives import CLASSES, Archive, archive
from tests.support.dicom import radiograph
from tests.support.dimse import free_port
from tests.support.gateway import LiveGateway, audit_trail, running_gateway, until

# pynetdicom leaves a socket that did not connect to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


@dataclass(frozen=True)
class Site:
    """A gateway, and the archive behind one of its destinations; behind the other is nobody."""

    gateway: LiveGateway
    pacs: Archive

    async def page(self, path: str = "") -> str:
        return (await self.gateway.client.get(f"/console/destinations{path}")).text


@pytest.fixture
async def site(triton: EmbeddedTriton, tmp_path: Path) -> AsyncIterator[Site]:
    with ExitStack() as stack:
        pacs = stack.enter_context(archive(classes=[*CLASSES, Verification]))
        found = delivering(
            triton.grpc_url,
            tmp_path,
            dicom("pacs", pacs.port),
            dicom("vna", free_port()),
        )
        async with running_gateway(with_console(found)) as gateway:
            await until(gateway.is_ready)
            yield Site(gateway, pacs)


async def parked(site: Site) -> tuple[str, str]:
    """Have the archive refuse a study; return its study_id and the id of what is parked."""
    site.pacs.statuses.append(0x0122)
    instance = radiograph()
    await stow(site.gateway.client, instance)
    found: list[tuple[str, str]] = []

    async def is_parked() -> bool:
        page = await site.page("/pacs")
        found[:] = re.findall(
            r'name="item" value="([0-9a-f]{32})".*?results/([^/<]+)/', page, re.DOTALL
        )
        return bool(found)

    await until(is_parked)
    [(item, study_id)] = found
    return study_id, item


async def test_a_result_that_is_refused_is_told_with_its_reason_and_sent_again(site: Site):
    study_id, item = await parked(site)
    page = await site.page("/pacs")
    assert "status 0122" in page
    assert f'href="/console/studies/{study_id}"' in page
    answer = await site.gateway.client.post(
        "/console/destinations/pacs/retry", data={"item": [item, "0" * 32]}
    )
    assert answer.headers["location"] == "/console/destinations/pacs?done=1&failed=1"
    assert "Done: 1. Failed: 1." in await site.page("/pacs?done=1&failed=1")

    async def has_it() -> bool:
        states = {each["destination"]: each for each in await deliveries(*asked)}
        return states["pacs"]["state"] == "acknowledged"

    asked = (site.gateway.client, study_id)
    await until(has_it)

    async def is_gone() -> bool:  # a moment after its study's document says that it went
        return item not in await site.page("/pacs")

    await until(is_gone)
    acts = {each["operation"]: each for each in audit_trail(site.gateway.settings)}
    retried = acts["POST /console/destinations/{name}/retry"]
    assert (retried["action"], retried["studies"]) == ("E", [study_id])

    # Sent once more from the study's own page.
    before = sum(site.pacs.held.values())
    answer = await site.gateway.client.post(
        f"/console/studies/{study_id}/deliveries", data={"destination": "pacs"}
    )
    assert answer.headers["location"] == f"/console/studies/{study_id}"
    await until(lambda: sum(site.pacs.held.values()) > before)

    async def is_told() -> bool:
        page = await site.gateway.client.get(f"/console/studies/{study_id}")
        return "acknowledged" in page.text

    await until(is_told)


async def test_what_is_parked_is_discarded_and_another_destinations_is_not_listed(site: Site):
    _, item = await parked(site)
    assert item not in await site.page("/vna")
    answer = await site.gateway.client.post(
        "/console/destinations/pacs/discard", data={"item": item}
    )
    assert answer.headers["location"] == "/console/destinations/pacs?done=1&failed=0"
    assert item not in await site.page("/pacs")
    acts = {each["operation"]: each["action"] for each in audit_trail(site.gateway.settings)}
    assert acts["POST /console/destinations/{name}/discard"] == "D"

    async def is_failing() -> bool:  # nothing was brought so far
        page = await site.page("/pacs")
        return "not taking all results" in page and "Attempts fail" in page

    await until(is_failing)


async def test_the_list_tells_which_destination_does_not_answer(site: Site):
    await stow(site.gateway.client, radiograph())

    async def is_told() -> bool:
        return "not answering" in await site.page()

    await until(is_told)
    page = await site.page()
    assert "DICOM archive" in page
    assert f"127.0.0.1:{site.pacs.port}" in page
    assert "Nothing is lost" in page


async def test_a_test_says_which_step_fails(site: Site):
    answer = await site.gateway.client.post("/console/destinations/pacs/test")
    assert "It answers" in answer.text
    assert "it answered the C-ECHO" in answer.text
    answer = await site.gateway.client.post("/console/destinations/vna/test")
    assert "The fault is here" in answer.text
    assert "nothing listens there" in answer.text
    assert site.pacs.arrived == []
    trail = audit_trail(site.gateway.settings)
    assert [each["action"] for each in trail if each["operation"].endswith("/test")] == ["E", "E"]


async def test_an_unknown_destination_is_no_page(site: Site):
    for path in ("/none", "/..%2f", "/<b>"):
        assert (await site.gateway.client.get(f"/console/destinations{path}")).status_code == 404
    answer = await site.gateway.client.post("/console/destinations/none/test")
    assert answer.status_code == 404


async def test_without_destinations_the_page_says_how_to_have_one(keyed: KeyedConsole):
    key, _ = keyed.key(Scope.OPERATE)
    async with keyed.signed_in(key) as client:
        page = (await client.get("/console/destinations")).text
    assert "RADSTREAM_ROUTING__FILE" in page
