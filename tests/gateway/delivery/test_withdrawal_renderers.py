"""Withdrawals as destinations get them, in place of the renderings of a study."""

from collections.abc import AsyncGenerator

import pytest
from structlog.testing import capture_logs

from gateway.delivery.transport import Rendering
from gateway.delivery.withdrawal_renderers import with_withdrawals
from gateway.errors import DeliveryRefusedError
from gateway.renderings.withdrawn_results import WithdrawnResults
from gateway.results.links import Links
from gateway.results.tombstone import Closing, Reason
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_destinations import Destination
from tests.gateway.delivery.test_withdrawals import ALL, BROUGHT, brought, gateway_on
from tests.support.delivery import NOW, dicom, routing
from tests.support.store import MemoryStore

KINDS = RenderingKind
[PACS, RECORD, RIS, HOOK] = ALL.destinations
[PLAIN] = routing(dicom("pacs", 1)).destinations


async def of_study(study_id: str, destination: Destination) -> AsyncGenerator[Rendering]:
    del destination
    yield Rendering(KINDS.ORU, study_id, "text/plain", b"")


async def made(kind: RenderingKind, destination: Destination, *, is_there: bool = True) -> int:
    """Return the number of renderings of a withdrawal; that of its study is made elsewhere."""
    gateway = gateway_on(MemoryStore(), ALL)
    await brought(gateway, *BROUGHT)
    closing = Closing(study_id="S1", requested_at=NOW, reason=Reason.REQUEST)
    name = await gateway.withdrawals.prepare(closing, await gateway.record())
    assert name is not None
    await gateway.documents.close(closing, lambda closing, _: closing)
    if not is_there:
        await gateway.withdrawals.drop(closing)
    results = WithdrawnResults(gateway.imaging)
    studies = dict.fromkeys(KINDS, of_study)
    renderers = with_withdrawals(studies, gateway.withdrawals, results, Links())
    [plain] = [each async for each in renderers[kind]("S1", destination)]
    assert plain.uid == "S1"
    found = [each async for each in renderers[kind](name, destination)]
    assert all(each.kind is kind for each in found)
    return len(found)


async def test_a_destination_gets_the_withdrawals_of_the_forms_that_it_takes():
    assert await made(KINDS.STRUCTURED_REPORT, PACS) == 1
    assert await made(KINDS.REJECTION_NOTE, PACS) == 1
    assert await made(KINDS.REJECTION_NOTE, PLAIN) == 0
    assert await made(KINDS.FHIR, RECORD) == 1
    assert await made(KINDS.ORU, RIS) == 1
    assert await made(KINDS.NOTICE, HOOK) == 1
    for kind in (KINDS.FHIR, KINDS.ORU):
        assert await made(kind, PACS) == 0


async def test_nothing_is_made_of_a_withdrawal_that_is_over():
    for kind, destination in (
        (KINDS.STRUCTURED_REPORT, PACS),
        (KINDS.REJECTION_NOTE, PACS),
        (KINDS.FHIR, RECORD),
        (KINDS.ORU, RIS),
        (KINDS.NOTICE, HOOK),
    ):
        assert await made(kind, destination, is_there=False) == 0


@pytest.mark.parametrize("kind", [KINDS.STRUCTURED_REPORT, KINDS.REJECTION_NOTE])
async def test_an_archive_that_cannot_be_told_is_an_operators(
    kind: RenderingKind, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.delivery.withdrawals.header_of", lambda _: None)
    with pytest.raises(DeliveryRefusedError, match="readable header"), capture_logs() as events:
        await made(kind, PACS)
    assert "withdrawal.no_header" in {event["event"] for event in events}
    assert await made(KINDS.FHIR, RECORD) == 1
