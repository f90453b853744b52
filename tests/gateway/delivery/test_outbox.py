"""Deliveries are promised once, whatever dies when."""

from typing import Any

import pytest

from gateway.errors import InvalidQueryError, StudyNotFoundError
from gateway.schemas.result import RenderingKind
from gateway.storage.layout import DELIVERIES
from tests.support.completion import completions_on
from tests.support.delivery import Gateway, dicom, routing
from tests.support.store import MemoryStore, MortalStore

BOTH = routing(dicom("pacs", 1), dicom("vna", 2))


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


async def entries(objects: MemoryStore) -> list[str]:
    return [key.split("/")[2] for key in await objects.keys(DELIVERIES)]


async def test_each_destination_gets_an_item_and_an_entry(objects: MemoryStore):
    gateway = Gateway(objects, BOTH)
    await gateway.outbox.promise(await gateway.complete())
    assert await gateway.states() == {"pacs": "waiting", "vna": "waiting"}
    assert await entries(objects) == ["pacs", "vna"]
    completion = (await gateway.record()).completion
    assert completion is not None
    assert completion.delivered
    assert {item.revision for item in await gateway.items()} == {completion.work}


async def test_a_promise_is_made_once_by_however_many_gateways(objects: MemoryStore):
    gateways = [Gateway(objects, BOTH) for _ in range(2)]
    record = await gateways[0].complete()
    for gateway in gateways * 2:
        await gateway.outbox.promise(record)
    assert len(await gateways[0].items()) == 2
    assert len(await entries(objects)) == 2


async def test_a_rendering_that_none_makes_is_not_promised(objects: MemoryStore):
    both = dicom("pacs", 1, renderings=["structured-report", "secondary-capture"])
    gateway = Gateway(objects, routing(both))
    await gateway.outbox.promise(await gateway.complete())
    [item] = await gateway.items()
    assert item.rendering is RenderingKind.STRUCTURED_REPORT


@pytest.mark.parametrize("former", [(), ({"patient_id": "P-6"},)])
async def test_a_rejection_note_is_promised_once_a_patient_turned_out_to_be_wrong(
    objects: MemoryStore, former: tuple[dict[str, str], ...]
):
    note = RenderingKind.REJECTION_NOTE
    document = routing(dicom("pacs", 1, renderings=["structured-report", "rejection-note"]))
    gateway = Gateway(objects, document, kinds=tuple(RenderingKind))
    await gateway.outbox.promise(await gateway.complete(former=former))
    assert (note in [item.rendering for item in await gateway.items()]) == bool(former)


async def test_without_destinations_nothing_is_written(objects: MemoryStore):
    gateway = Gateway(objects, routing())
    record = await gateway.complete()
    before = dict(objects.objects)
    await gateway.outbox.promise(record)
    assert objects.objects == before


async def test_a_study_that_is_not_complete_promises_nothing(objects: MemoryStore):
    gateway = Gateway(objects, BOTH)
    record = await gateway.complete()
    assert record.completion is not None
    await gateway.outbox.promise(
        record.changed(completion=record.completion.model_copy(update={"completed_at": None}))
    )
    await gateway.outbox.promise(record.changed(completion=None))
    assert await gateway.items() == []


async def test_a_study_that_is_complete_again_promises_anew(objects: MemoryStore):
    gateway = Gateway(objects, BOTH)
    for _ in range(2):
        await gateway.outbox.promise(await gateway.complete())
    items = await gateway.items()
    assert [item.destination for item in items] == ["pacs", "vna", "pacs", "vna"]
    assert len({item.id for item in items}) == 4


async def test_what_is_promised_of_an_older_completion_is_left_out(objects: MemoryStore):
    gateway = Gateway(objects, BOTH)
    older = await gateway.complete()
    await gateway.complete()
    await gateway.outbox.promise(older)
    assert await gateway.items() == []


@pytest.mark.parametrize("dies_at", range(1, 8))
async def test_whatever_call_a_gateway_dies_before_the_sweep_promises_once(
    objects: MemoryStore, dies_at: int
):
    """The completion's own entry, which a sweep finds, stands until the promise is made."""
    gateway = Gateway(objects, BOTH)
    record = await gateway.complete()
    mortal = MortalStore(objects.objects, dies_at)
    await mortal.kills(Gateway(mortal, BOTH).outbox.promise(record))
    after = Gateway(objects, BOTH)
    await after.outbox.promise(await after.record())
    assert await after.states() == {"pacs": "waiting", "vna": "waiting"}
    assert len(await after.items()) == len(await entries(objects)) == 2


async def test_the_sweep_of_completions_promises_what_was_not(objects: MemoryStore):
    gateway = Gateway(objects, BOTH)
    record = await gateway.complete()
    assert record.completion is not None
    completions = completions_on(objects, gateway.documents, quiet_s=0.0)
    completions.follow(gateway.outbox)
    await objects.create(
        f"work/completion/20260131T120000Z/{record.completion.work}.S1",
        b'{"schema": "radstream.completion/1"}',
        media_type="application/json",
    )
    await completions.sweep()
    assert await gateway.states() == {"pacs": "waiting", "vna": "waiting"}
    assert await objects.keys("work/completion/") == []


async def test_a_completion_by_count_is_promised_at_once(objects: MemoryStore):
    gateway = Gateway(objects, BOTH)
    record = await gateway.complete()
    completions = completions_on(objects, gateway.documents)
    completions.follow(gateway.outbox)
    assert record.completion is not None
    ended = record.completion.model_copy(update={"ended_by": "a"})
    completions.ended(record.changed(completion=ended), "b")
    completions.ended(record.changed(completion=ended), "a")
    assert gateway.outbox._noted.qsize() == 1


@pytest.mark.parametrize(
    ("only", "found"),
    [
        ({}, ["pacs", "vna"]),
        ({"destination": "vna"}, ["vna"]),
        ({"rendering": "structured-report"}, ["pacs", "vna"]),
        ({"rendering": "fhir"}, []),
    ],
)
async def test_a_study_is_brought_again_on_demand(
    objects: MemoryStore, only: dict[str, Any], found: list[str]
):
    gateway = Gateway(objects, BOTH)
    await gateway.outbox.promise(await gateway.complete())
    items = await gateway.outbox.resend("S1", **only)
    assert [item.destination for item in items] == found
    assert len(await gateway.items()) == 2 + len(found)
    assert len(await entries(objects)) == 2 + len(found)


async def test_what_is_not_there_is_not_brought_again(objects: MemoryStore):
    gateway = Gateway(objects, BOTH)
    with pytest.raises(StudyNotFoundError):
        await gateway.outbox.resend("S1")
    await gateway.complete()
    with pytest.raises(InvalidQueryError):
        await gateway.outbox.resend("S1", destination="other")
