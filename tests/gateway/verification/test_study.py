"""Verification of one study, in a folder and in a bucket alike."""

import datetime as dt

from gateway.errors import GivenUpError
from gateway.observability.pseudonyms import key_reference
from gateway.problems import problem_of
from gateway.results import deletion
from gateway.results.joins import Request
from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstone import Closing, Reason
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.storage.protocol import ObjectStore
from gateway.verification.findings import Kind
from gateway.work.keys import WorkId
from tests.gateway.verification.filled import (
    DOCUMENT,
    ENTRY,
    FAILED,
    IMAGE,
    NOON,
    OBJECT,
    SHA256,
    WAITS,
    fill,
    found,
    parts_of,
    put,
    results_on,
    tombstone,
    tombstone_key,
)
from tests.support.store import MemoryStore


async def test_a_document_in_the_place_of_another_is_told(objects: ObjectStore):
    await fill(objects)
    other = "results/S2/result.json"
    await put(objects, other, await objects.read(DOCUMENT))
    assert (Kind.UNREADABLE_DOCUMENT, other) in await found(objects)


async def test_an_image_that_has_changed_is_told(objects: ObjectStore):
    await fill(objects)
    await put(objects, OBJECT, IMAGE + b"\0")
    assert await found(objects) == {(Kind.ALTERED_IMAGE, OBJECT)}


async def test_what_is_named_and_not_there_is_told(objects: ObjectStore):
    work = await fill(objects)
    parked = f"parked/{key_reference(work)}.json"
    gone = (OBJECT, *parts_of(WAITS), *parts_of(FAILED), parked)
    for key in gone:
        await objects.delete(key)
    assert await found(objects) == {(Kind.MISSING_OBJECT, key) for key in gone}
    await objects.delete(ENTRY)
    assert (Kind.MISSING_OBJECT, ENTRY) in await found(objects)


async def test_a_page_that_is_gone_or_names_what_is_not_there_is_told(objects: ObjectStore):
    await fill(objects)
    results = results_on(objects, longest_bytes=10)
    metadata = StudyMetadata.model_validate(
        {"study_id": "S1", "view": "AP", "timestamp": NOON.isoformat()}
    )
    known = await results.known(metadata)
    assert known.record is not None
    reading = known.record.readings[0].model_copy(update={"sha256": "1" * 64})
    await results.add("S1", known, Request(metadata, NOON, (reading,), {"image": reading}))
    first, second, listed, rest = await objects.keys("results/S1/pages/")
    assert [key.split("/")[3] for key in (listed, rest)] == ["lists", "rest"]
    image = OBJECT.replace(SHA256, "1" * 64)
    assert await found(objects) == {(Kind.MISSING_OBJECT, image)}
    await objects.delete(second)
    assert await found(objects) == {(Kind.MISSING_OBJECT, second)}
    await put(objects, first, b"{")
    assert (Kind.UNREADABLE_DOCUMENT, first) in await found(objects)
    await objects.delete(listed)
    orphans = {(Kind.ORPHAN_OBJECT, key) for key in (first, OBJECT)}
    assert await found(objects) >= {(Kind.MISSING_OBJECT, listed), *orphans}
    await objects.delete(rest)
    assert (Kind.MISSING_OBJECT, rest) in await found(objects)


async def test_a_study_whose_document_is_gone_is_told(objects: ObjectStore):
    work = await fill(objects)
    await objects.delete(DOCUMENT)
    begun = {f"{work}/job.json", *parts_of(WAITS), *parts_of(FAILED)}
    assert await found(objects) == {
        (Kind.MISSING_OBJECT, DOCUMENT),
        *((Kind.ORPHAN_OBJECT, key) for key in {OBJECT, *begun}),
    }


async def test_an_entry_of_an_image_that_is_parked_no_more_is_told(objects: ObjectStore):
    entry = NotProcessedDocument(
        part="x.png",
        sha256="0" * 64,
        problem=problem_of(GivenUpError(3)),
        received_at=NOON,
        parked="1" * 32,
    )
    await results_on(objects).note_parked("S2", entry)
    assert await found(objects) == {(Kind.MISSING_OBJECT, f"parked/{'1' * 32}.json")}


async def test_an_item_of_work_that_is_gone_is_told(objects: ObjectStore):
    work = await fill(objects)
    await objects.purge(f"{work}/")
    assert await found(objects) == {
        (Kind.MISSING_OBJECT, f"{work}/job.json"),
        (Kind.ORPHAN_OBJECT, parts_of(FAILED)[0]),
    }


async def test_an_image_of_a_submission_that_nothing_names_is_told(objects: ObjectStore):
    """A gateway died before it promised anything, or after the submission had ended."""
    await fill(objects)
    image, begun = parts_of(WorkId("S1", "20260131T120000000002Z-00"))
    for key in (image, begun):
        await put(objects, key, IMAGE)
    assert await found(objects) == {(Kind.ORPHAN_OBJECT, image), (Kind.ORPHAN_OBJECT, begun)}


async def test_an_image_that_waits_and_has_changed_is_told(objects: ObjectStore):
    await fill(objects)
    image, _ = parts_of(WAITS)
    await put(objects, image, IMAGE + b"\0")
    assert await found(objects) == {(Kind.ALTERED_IMAGE, image)}


async def test_a_deleted_study_that_is_there_again_is_told_unless_it_came_anew(
    objects: ObjectStore,
):
    await fill(objects)
    before, after = NOON - dt.timedelta(seconds=1), NOON + dt.timedelta(seconds=1)
    await put(objects, tombstone_key("S1", before), tombstone())
    assert await found(objects) == set()
    await objects.delete(OBJECT)  # of less interest then
    await put(objects, tombstone_key("S1", after), tombstone())
    assert await found(objects) == {(Kind.DELETED_STUDY, "results/S1/")}
    closing = Closing(study_id="S1", requested_at=NOON, reason=Reason.REQUEST)
    await StudyDocuments(objects).close(closing, lambda new, _: new)
    note = deletion.note_key("S1")
    assert await found(objects) == {(Kind.MISSING_OBJECT, note)}
    await put(objects, note, closing.model_dump_json(by_alias=True).encode())
    assert await found(objects) == set()  # a gateway is at it


async def test_a_study_that_is_deleted_meanwhile_is_no_fault():
    async def delete() -> None:
        """Delete it as soon as one of its objects has been looked at."""
        if armed and ("read", DOCUMENT) in objects.calls:
            own = ("results/S1/", "parked/")
            for key in [key for key in objects.objects if key.startswith(own)]:
                del objects.objects[key]

    armed = False
    objects = MemoryStore(delete)
    await fill(objects)
    objects.calls.clear()
    armed = True
    assert await found(objects) == set()


async def test_a_mark_of_an_instance_may_lack_its_pointer(objects: ObjectStore):
    """A gateway writes the pointer after the mark, and may die between the two."""
    await fill(objects)
    await objects.delete("instances/1.2.3.4.json")
    assert await found(objects) == set()


async def test_readings_by_shadow_models_are_looked_at(objects: ObjectStore):
    await fill(objects)
    kept, broken = (f"results/S1/shadows/{SHA256}/cxr-{version}.json" for version in "23")
    await put(
        objects,
        kept,
        b'{"schema": "radstream.shadow/1", "study_id": "S1", "sha256": "0", "timings_ms": {}, '
        b'"model": {"name": "cxr", "version": "2"}, "completed_at": "2026-01-31T12:00:00Z", '
        b'"frames": [], "pairs": []}',
    )
    await put(objects, broken, b"{}")
    assert await found(objects) == {(Kind.UNREADABLE_DOCUMENT, broken)}
