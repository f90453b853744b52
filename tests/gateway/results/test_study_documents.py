"""Documents of studies: swaps that are shared or lost, and the length that they stay below."""

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable

import pytest

from gateway.errors import StudyBeingDeletedError, UnreadableDocumentError
from gateway.results.documents import Reading, StudyRecord
from gateway.results.not_processed import noted, settled
from gateway.results.pages import read_pages
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.tombstone import Closing, Reason
from gateway.results.view import study_result
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.problem import Problem
from gateway.storage.protocol import ObjectStore
from tests.support.readings import NOON, reading
from tests.support.store import MemoryStore

KEY = "results/S1/result.json"


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def documents(objects: MemoryStore) -> StudyDocuments:
    return StudyDocuments(objects)


def calls(objects: MemoryStore) -> list[str]:
    found = [call for call, _ in objects.calls]
    objects.calls.clear()
    return found


class Joins:
    """A change by which an image joins its study, up to so many."""

    def __init__(self, number: int, *, room: int = 1000, **changes: object) -> None:
        self.item = reading(number, **changes)
        self.room = room

    def __call__(self, record: StudyRecord | None) -> StudyRecord:
        record = record or StudyRecord.begun("S1")
        if self.item.sha256 in {item.sha256 for item in record.readings}:
            return record
        if record.images >= self.room:
            raise ValueError(record.images)
        return record.changed(images=record.images + 1, readings=(*record.readings, self.item))


async def whole(objects: MemoryStore) -> list[Reading]:
    record = (await StudyDocuments(objects).read("S1")).open_record()
    assert record is not None
    return [*await read_pages(objects, "S1", record.pages), *record.readings]


# --- swaps ---------------------------------------------------------------------------------------


async def test_document_that_was_written_is_not_read_before_the_next_swap(
    documents: StudyDocuments, objects: MemoryStore
):
    await documents.change("S1", Joins(1))
    assert calls(objects) == ["read", "swap"]
    await documents.change("S1", Joins(2))
    assert calls(objects) == ["swap"]


async def test_state_that_the_caller_saw_spares_the_first_read(
    documents: StudyDocuments, objects: MemoryStore
):
    await documents.change("S1", Joins(1), Seen())
    assert calls(objects) == ["swap"]
    await StudyDocuments(objects).change("S1", Joins(2), Seen())  # which does not hold any more
    assert calls(objects) == ["swap", "read", "swap"]
    assert len(await whole(objects)) == 2


async def test_changes_that_come_at_once_share_a_swap(
    documents: StudyDocuments, objects: MemoryStore
):
    await asyncio.gather(*(documents.change("S1", Joins(number)) for number in range(8)))
    assert calls(objects) == ["read", "swap"]
    assert len(await whole(objects)) == 8


async def test_gateways_that_lose_a_swap_make_their_change_to_the_new_document(
    folder_store: ObjectStore,
):
    gateways = [StudyDocuments(folder_store) for _ in range(6)]
    await asyncio.gather(
        *(gateway.change("S1", Joins(number)) for number, gateway in enumerate(gateways))
    )
    record = (await StudyDocuments(folder_store).read("S1")).open_record()
    assert record is not None
    assert {item.number for item in record.readings} == set(range(6))


async def test_change_with_nothing_to_do_writes_nothing_and_is_sure_of_it(
    documents: StudyDocuments, objects: MemoryStore
):
    await documents.change("S1", Joins(1))
    calls(objects)
    record = await documents.change("S1", Joins(1))
    assert (calls(objects), record.images) == (["read"], 1)


async def test_refusal_on_a_remembered_document_is_looked_at_anew(
    documents: StudyDocuments, objects: MemoryStore
):
    await documents.change("S1", Joins(1))
    await StudyDocuments(objects).change("S1", lambda _: StudyRecord.begun("S1"))
    record = await documents.change("S1", Joins(2, room=1))
    assert [item.number for item in record.readings] == [2]
    with pytest.raises(ValueError, match="1"):
        await documents.change("S1", Joins(3, room=1))


async def test_change_that_fails_costs_no_other_of_its_swap(
    documents: StudyDocuments, objects: MemoryStore
):
    changes = Joins(1), Joins(2, room=0), Joins(3)
    outcomes = await asyncio.gather(
        *(documents.change("S1", change) for change in changes), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [StudyRecord, ValueError, StudyRecord]
    assert [item.number for item in await whole(objects)] == [1, 3]


class SlowSwaps(MemoryStore):
    """Tells when a swap begins, and ends it when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_end = asyncio.Event(), asyncio.Event()

    async def swap(
        self, key: str, data: bytes | memoryview, *, tag: str | None, media_type: str
    ) -> str | None:
        self.began.set()
        await self.may_end.wait()
        return await super().swap(key, data, tag=tag, media_type=media_type)


async def test_caller_who_leaves_takes_no_other_change_along():
    objects = SlowSwaps()
    documents = StudyDocuments(objects)
    leaving, staying = (
        asyncio.create_task(documents.change("S1", Joins(number))) for number in (1, 2)
    )
    await objects.began.wait()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    objects.may_end.set()
    await staying
    assert 2 in {item.number for item in await whole(objects)}


async def test_change_that_comes_during_a_swap_is_made_after_it():
    objects = SlowSwaps()
    documents = StudyDocuments(objects)
    first = asyncio.create_task(documents.change("S1", Joins(1)))
    await objects.began.wait()
    second = asyncio.create_task(documents.change("S1", Joins(2)))
    objects.may_end.set()
    assert [(await first).images, (await second).images] == [1, 2]
    assert calls(objects) == ["read", "swap", "swap"]


async def test_each_study_whose_document_changed_is_told(objects: MemoryStore):
    told: list[str] = []
    documents = StudyDocuments(objects, changed=told.append)
    for change in (Joins(1), Joins(1), Joins(2)):
        await documents.change("S1", change)
    await documents.close(closing(), lambda closing, _: closing)
    assert told == ["S1", "S1"]


# --- length --------------------------------------------------------------------------------------


async def test_what_a_process_remembers_is_bounded(documents: StudyDocuments):
    def long(study_id: str) -> StudyRecord:
        item = reading(study_id=study_id, metadata={"notes": "x" * 60_000})
        return StudyRecord.begun(study_id).changed(images=1, readings=(item,))

    ids = [f"S{number}" for number in range(40)]
    for study_id in ids:
        await documents.change(study_id, lambda _, study_id=study_id: long(study_id))
    remembered = [documents.remembered(study_id) is not None for study_id in ids]
    assert remembered[-1]
    assert sum(remembered) * 60_000 < 2 * 1024 * 1024


async def test_readings_of_a_document_that_grows_too_long_move_to_pages(objects: MemoryStore):
    documents = StudyDocuments(objects, longest_bytes=12_000)
    for number in range(1, 41):
        await documents.change("S1", Joins(number))
    pages = [key for key in objects.objects if "/pages/" in key]
    assert 2 < len(pages) <= 20
    assert all(len(objects.objects[key]) <= 12_000 for key in [KEY, *pages])
    assert [item.number for item in await whole(objects)] == list(range(1, 41))


async def test_one_reading_longer_than_a_document_goes_to_a_page_at_once(objects: MemoryStore):
    documents = StudyDocuments(objects, longest_bytes=8_000)
    notes = {"notes": "x" * 10_000}
    answered = await documents.change("S1", Joins(1, metadata=notes))
    assert [item.number for item in answered.readings] == [1]  # whose request tells of it
    record = (await documents.read("S1")).open_record()
    assert record is not None
    assert (record.readings, len(record.pages)) == ((), 1)
    assert len(objects.objects[KEY]) < 8_000
    assert [item.metadata for item in await whole(objects)] == [notes]


def unprocessed(number: int, beside: int = 0) -> NotProcessedDocument:
    problem = Problem(
        type="urn:radstream:problem:x", title="Damaged", status=422, detail="Mend it." * 40
    )
    return NotProcessedDocument(
        part=f"image[{number}]",
        sha256=hashlib.sha256(b"%d" % number).hexdigest(),
        problem=problem,
        received_at=NOON + dt.timedelta(minutes=number),
        beside=tuple(hashlib.sha256(b"good%d" % good).hexdigest() for good in range(beside)),
    )


def leaves(*entries: NotProcessedDocument) -> Callable[[StudyRecord | None], StudyRecord]:
    """A change by a request with images that cannot be processed."""

    def change(record: StudyRecord | None) -> StudyRecord:
        record = record or StudyRecord.begun("S1")
        return record.changed(open_images=noted(record.open_images, entries))

    return change


async def test_images_that_cannot_be_processed_never_fill_a_document(objects: MemoryStore):
    documents = StudyDocuments(objects)
    await documents.change("S1", Joins(1))
    for number in range(500):
        told = await documents.change("S1", leaves(unprocessed(number)))
        assert told.open_images[-1] == unprocessed(number)  # whose request tells all of it
        assert len(objects.objects[KEY]) <= 64 * 1024
    for number in range(2, 102):
        await documents.change("S1", Joins(number))
        assert len(objects.objects[KEY]) <= 64 * 1024
    record = (await documents.read("S1")).open_record()
    assert record is not None
    kept = [entry.part for entry in record.open_images]
    assert 20 < len(kept) == 500 - len(record.open_images_left_out)
    assert kept == [f"image[{number}]" for number in range(500 - len(kept), 500)]
    view = study_result(record)
    assert (view.status, view.not_processed_left_out) == ("partial", 500 - len(kept))
    assert len([key for key in objects.objects if "/pages/" in key]) < 10
    assert len(await whole(objects)) == 101


async def test_a_request_with_many_images_of_both_kinds_keeps_all_entries(objects: MemoryStore):
    documents = StudyDocuments(objects)
    entries = [unprocessed(number, beside=20) for number in range(20)]
    await documents.change("S1", leaves(*entries))
    record = (await documents.read("S1")).open_record()
    assert record is not None
    assert len(objects.objects[KEY]) <= 64 * 1024
    assert [entry.sha256 for entry in record.open_images] == [entry.sha256 for entry in entries]
    assert record.open_images_left_out == ()
    # Another image in a place, beside the same ones: it is mended. One of those: it is not.
    [one, *_] = record.open_images
    neighbour, other = (hashlib.sha256(b"good%d" % good).hexdigest() for good in (3, 4))
    for sha256, is_mended in (("f" * 64, True), (other, False)):
        sent = {"image[0]": reading(2, sha256=sha256), "x": reading(3, sha256=neighbour)}
        assert (settled((one,), sent, alone=False) == ()) is is_mended


async def test_a_document_that_is_long_of_other_things_lists_the_images_to_send_again(
    objects: MemoryStore,
):
    documents = StudyDocuments(objects, longest_bytes=8_000)
    await documents.change("S1", Joins(1, metadata={"notes": "x" * 5_000}))
    await documents.change("S1", leaves(unprocessed(1)))
    for number in range(2, 10):
        await documents.change("S1", Joins(number, metadata={"notes": "x" * 5_000}))
    record = (await documents.read("S1")).open_record()
    assert record is not None
    assert [entry.part for entry in record.open_images] == ["image[1]"]
    assert record.open_images_left_out == ()


# --- closings ------------------------------------------------------------------------------------


def closing(minute: int = 0) -> Closing:
    at = NOON + dt.timedelta(minutes=minute)
    return Closing(study_id="S1", requested_at=at, reason=Reason.REQUEST)


async def test_nothing_joins_a_study_that_is_closed_until_its_closing_ends(
    documents: StudyDocuments, objects: MemoryStore
):
    await documents.change("S1", Joins(1))
    stands = await StudyDocuments(objects).close(closing(), lambda closing, _: closing)
    with pytest.raises(StudyBeingDeletedError):
        await documents.change("S1", Joins(2))
    await documents.end(stands)
    assert objects.objects == {}
    assert (await documents.change("S1", Joins(2))).images == 1


async def test_closing_keeps_what_it_needs_of_the_record_it_replaces(documents: StudyDocuments):
    await documents.change("S1", Joins(1))
    later = closing(minute=5)
    stands = await documents.close(closing(), lambda _, record: later if record.images else _)
    assert stands == later


async def test_of_two_closings_the_first_stands_and_only_it_is_ended(
    documents: StudyDocuments, objects: MemoryStore
):
    first, second = closing(), closing(minute=5)
    assert await documents.close(first, lambda closing, _: closing) == first
    assert await StudyDocuments(objects).close(second, lambda closing, _: closing) == first
    await documents.end(second)
    assert KEY in objects.objects
    await documents.end(first)
    assert KEY not in objects.objects


async def test_document_that_cannot_be_read_can_be_closed(
    documents: StudyDocuments, objects: MemoryStore
):
    objects.objects[KEY] = b"{"
    with pytest.raises(UnreadableDocumentError):
        await documents.read("S1")
    assert await documents.close(closing(), lambda closing, _: closing) == closing()
    assert (await documents.read("S1")).closing == closing()
