"""Findings of the search index: damaged objects, and entries that contradict the documents."""

import datetime as dt

from gateway.storage.protocol import ObjectStore
from gateway.verification.findings import Kind
from tests.gateway.verification.filled import found, put
from tests.support.search import IndexingGateway

OLD = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


async def change(gateway: IndexingGateway, study_id: str, **update: object) -> None:
    """Change a document as it was long ago, which no entry tells."""
    await gateway.documents.change(
        study_id, lambda record: record.model_copy(update={"changed_at": OLD, **update})
    )


async def notes(objects: ObjectStore) -> set[tuple[Kind, str]]:
    """Return the findings of the search index, by kind and key."""
    of_index = {Kind.MISSING_ENTRY, Kind.STALE_ENTRY}
    return {each for each in await found(objects) if each[0] in of_index}


async def test_entries_that_contradict_the_documents_are_told(objects: ObjectStore):
    gateway = IndexingGateway(objects)
    for study_id in ("S1", "S2", "S3"):
        await gateway.receive(study_id, OLD, patient_id="P1")
        await change(gateway, study_id)
    await gateway.write()
    assert await notes(objects) == set()
    await change(gateway, "S1", images=7)
    await gateway.receive("S4", OLD)
    await change(gateway, "S4")
    await objects.purge("results/S2/")
    await objects.purge("index/by/")
    assert await notes(objects) == {
        (Kind.STALE_ENTRY, "results/S1/"),
        (Kind.STALE_ENTRY, "results/S2/"),
        (Kind.MISSING_ENTRY, "results/S3/"),
        (Kind.MISSING_ENTRY, "results/S4/"),
    }


async def test_entry_of_the_last_minute_may_be_on_its_way(objects: ObjectStore):
    await IndexingGateway(objects).receive("S1")
    assert await notes(objects) == set()


async def test_damaged_object_is_told_and_nothing_is_compared_with_it(objects: ObjectStore):
    gateway = IndexingGateway(objects)
    await gateway.receive("S1", OLD, patient_id="P1")
    await change(gateway, "S1")
    await gateway.write()
    await gateway.index.writer.merge()
    keys = ("index/2026-01-31/part-0000.jsonl.gz", "index/key.json")
    for key in keys:
        await put(objects, key, b"{")
    told = await found(objects)
    assert {(Kind.UNREADABLE_DOCUMENT, key) for key in keys} <= told
    assert await notes(objects) == set()
