"""Documents of studies: swaps that are shared or lost, and the length that they stay below."""

import asyncio
import datetime as dt

import pytest

from gateway.errors import StudyBeingDeletedError, UnreadableDocumentError
from gateway.results.documents import Reading, StudyRecord
from gateway.results.pages import read_pages
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.tombstone import Closing, Reason
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


# --- memory --------------------------------------------------------------------------------------


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
