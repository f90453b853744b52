"""Parts of a study's record that move out of a document which grows too long."""

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import UnreadableDocumentError
from gateway.results.deliveries import with_deliveries
from gateway.results.documents import DeliveryItem, MissingReading, PendingImages, StudyRecord
from gateway.results.not_processed import noted, settled
from gateway.results.search_attributes import study_attributes
from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstone import Closing, Reason
from gateway.results.view import study_result, study_status
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.problem import Problem
from gateway.schemas.result import RenderingKind
from gateway.storage.protocol import ObjectStore
from tests.gateway.results.test_study_documents import KEY, Joins, whole
from tests.support.readings import NOON, reading
from tests.support.store import MemoryStore

Change = Callable[[StudyRecord | None], StudyRecord]

LONGEST = 64 * 1024


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


async def record_of(objects: MemoryStore) -> StudyRecord:
    """The record as another process reads it."""
    record = (await StudyDocuments(objects).read("S1")).open_record()
    assert record is not None
    return record


# --- readings and pages --------------------------------------------------------------------------


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


class InSeries(Joins):
    """A change by which an image joins its study, each in a series of its own."""

    def __init__(self, number: int) -> None:
        series = f"1.2.826.0.1.3680043.8.498.{number:032}"
        super().__init__(number, series_instance_uid=series, dropped_as=f"{number:016x}")

    def __call__(self, record: StudyRecord | None) -> StudyRecord:
        record = record or StudyRecord.begun("S1")
        item = self.item.model_copy(update={"number": record.images + 1})
        return record.changed(images=record.images + 1, readings=(*record.readings, item))


async def test_pages_that_a_document_has_no_room_to_list_move_to_lists(objects: MemoryStore):
    documents = StudyDocuments(objects, longest_bytes=12_000)
    count = 240
    for number in range(1, count + 1):
        await documents.change("S1", InSeries(number))
        assert len(objects.objects[KEY]) <= 12_000
    lists = [key for key in objects.objects if "/pages/lists/" in key]
    assert 2 < len(lists) < 20
    assert all(len(objects.objects[key]) <= 12_000 for key in lists)
    assert [item.number for item in await whole(objects)] == list(range(1, count + 1))
    record = await record_of(objects)
    assert len(study_attributes(record).series) == count
    assert study_result(record).earlier_images == count - len(record.readings)
    assert (await documents.read("S1")).record == record


async def test_an_image_costs_two_requests_however_many_there_are(objects: MemoryStore):
    documents = StudyDocuments(objects, longest_bytes=12_000)
    for number in range(130):
        await documents.change("S1", InSeries(number))
    objects.calls.clear()
    for number in range(200, 240):
        await documents.change("S1", InSeries(number))
    made = [call for call, _ in objects.calls]
    assert made.count("swap") == 40
    assert made.count("read") == 0
    assert made.count("create") < 20  # pages, and lists of them


async def test_a_document_whose_list_of_pages_is_gone_cannot_be_read(objects: MemoryStore):
    documents = StudyDocuments(objects, longest_bytes=6_000)
    for number in range(20):
        await documents.change("S1", InSeries(number))
    del objects.objects[next(key for key in objects.objects if "/pages/lists/" in key)]
    with pytest.raises(UnreadableDocumentError, match="a part of it is missing"):
        await record_of(objects)


async def test_a_study_that_is_deleted_while_its_lists_are_read_is_being_deleted(
    objects: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    documents = StudyDocuments(objects, longest_bytes=6_000)
    for number in range(20):
        await documents.change("S1", InSeries(number))
    closing = Closing(study_id="S1", requested_at=NOON, reason=Reason.REQUEST)
    read = objects.read

    async def read_meanwhile(key: str, **options: Any) -> bytes:
        if "/pages/lists/" in key:
            monkeypatch.undo()
            await documents.close(closing, lambda closing, _: closing)
            await objects.purge("results/S1/pages/")
        return await read(key, **options)

    await documents.change("S1", InSeries(20))
    monkeypatch.setattr(objects, "read", read_meanwhile)
    seen = await StudyDocuments(objects).read("S1")
    assert seen.closing == closing


# --- images that cannot be processed -------------------------------------------------------------


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


# --- the rest of a record ------------------------------------------------------------------------


def owes(number: int, *, paid: bool = False) -> Change:
    """A change by an image of which a model owes a reading, or has made it."""
    item = MissingReading(
        sha256=hashlib.sha256(b"%d" % number).hexdigest(),
        name="pneumonia",
        version="1",
        problem="model-unavailable",
        since=NOON,
        work=f"20260131T120002{number:06}Z-0123456789ab",
    )

    def change(record: StudyRecord | None) -> StudyRecord:
        record = record or StudyRecord.begun("S1")
        others = tuple(other for other in record.missing_readings if other.work != item.work)
        return record.changed(missing_readings=others if paid else (*others, item))

    return change


def delivers(objects: int) -> Change:
    """A change by which so many objects are brought to a destination."""
    item = DeliveryItem(
        id="20260131T120002000000Z-0123456789ab",
        destination="archive",
        rendering=RenderingKind.SECONDARY_CAPTURE,
        revision="r",
        at=NOON,
        objects=tuple(f"1.2.826.0.1.3680043.8.498.{number:032}" for number in range(objects)),
    )
    return lambda record: with_deliveries(record or StudyRecord.begun("S1"), [item])


def waits(number: int) -> Change:
    """A change by a submission that is pending from now on."""
    item = PendingImages(id=f"20260131T120002{number:06}Z-0123456789ab", images=1, due=NOON)

    def change(record: StudyRecord | None) -> StudyRecord:
        record = record or StudyRecord.begun("S1")
        others = (other for other in record.pending if other.id != item.id)
        return record.changed(pending=(*others, item))

    return change


def rests(objects: MemoryStore) -> list[str]:
    return [key for key in objects.objects if "/pages/rest/" in key]


async def test_readings_that_models_owe_never_fill_a_document(objects: MemoryStore):
    documents = StudyDocuments(objects)
    for number in range(130):
        await documents.change("S1", owes(number))
        told = await documents.change("S1", Joins(number))
        assert len(objects.objects[KEY]) <= LONGEST
        assert len(rests(objects)) <= 1
    record = await record_of(objects)
    assert len(record.missing_readings) == 130
    assert record.missing_readings == told.missing_readings
    assert (study_status(record), len(study_result(record).missing_readings or ())) == (
        "partial",
        130,
    )
    for number in range(130):
        await documents.change("S1", owes(number, paid=True))
    assert rests(objects) == []
    assert (await record_of(objects)).missing_readings == ()


@pytest.mark.parametrize(
    "changes",
    [
        [delivers(2000)],
        [waits(number) for number in range(1000)],
        [lambda record: record.changed(standing={f"{n:016x}": "f" * 64 for n in range(1000)})],
    ],
    ids=["deliveries", "submissions", "names in the drop folder"],
)
async def test_no_list_of_a_record_fills_its_document(objects: MemoryStore, changes: list[Change]):
    documents = StudyDocuments(objects)
    await documents.change("S1", Joins(1))
    for change in changes:
        told = await documents.change("S1", change)
        assert len(objects.objects[KEY]) <= LONGEST
    record = await record_of(objects)
    assert record == (await documents.read("S1")).record
    for name in ("deliveries", "pending", "standing"):
        assert getattr(record, name) == getattr(told, name)


async def test_a_rest_that_stays_the_same_is_not_written_again(objects: MemoryStore):
    documents = StudyDocuments(objects)
    await documents.change("S1", delivers(2000))
    [rest] = rests(objects)
    objects.calls.clear()
    for number in range(10):
        await documents.change("S1", Joins(number))
    assert rests(objects) == [rest]
    assert [call for call, _ in objects.calls] == ["swap"] * 10


class LosesSwaps(MemoryStore):
    """A store on which another gateway's change comes between, as often as it is told to."""

    def __init__(self, *, answers: bool = True) -> None:
        super().__init__()
        self.between: list[Change] = []
        self.answers = answers

    async def swap(
        self, key: str, data: bytes | memoryview, *, tag: str | None, media_type: str
    ) -> str | None:
        if self.between:
            change = self.between.pop()
            if not self.answers:  # it is swapped, its answer lost, and then sent again
                await super().swap(key, data, tag=tag, media_type=media_type)
            await StudyDocuments(self).change("S1", change)
        return await super().swap(key, data, tag=tag, media_type=media_type)


@pytest.mark.parametrize("answers", [True, False], ids=["lost", "won without an answer"])
async def test_what_a_gateway_wrote_whose_swap_was_lost_goes(*, answers: bool):
    store = LosesSwaps(answers=answers)
    documents = StudyDocuments(store)
    await documents.change("S1", delivers(2000))
    store.between = [waits(1)]
    await documents.change("S1", waits(2))
    assert len(rests(store)) == 1
    record = await record_of(store)
    assert {item.id[15:21] for item in record.pending} == {"000001", "000002"}
    assert len(record.deliveries) == 1


async def test_gateways_that_change_a_rest_at_once_lose_nothing(folder_store: ObjectStore):
    gateways = [StudyDocuments(folder_store, longest_bytes=4_000) for _ in range(4)]
    await asyncio.gather(
        *(
            gateways[number % 4].change("S1", change)
            for number in range(40)
            for change in (owes(number), waits(number), Joins(number))
        )
    )
    record = (await StudyDocuments(folder_store).read("S1")).open_record()
    assert record is not None
    assert (len(record.missing_readings), len(record.pending), record.images) == (40, 40, 40)
    assert len(await folder_store.keys("results/S1/pages/rest/")) == 1


async def test_a_document_whose_rest_is_gone_cannot_be_read(objects: MemoryStore):
    await StudyDocuments(objects).change("S1", delivers(2000))
    del objects.objects[rests(objects)[0]]
    with pytest.raises(UnreadableDocumentError, match="a part of it is missing"):
        await record_of(objects)


async def test_a_rest_that_is_replaced_while_it_is_read_is_read_anew(
    objects: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    await StudyDocuments(objects).change("S1", delivers(2000))
    read = objects.read

    async def read_meanwhile(key: str, **options: Any) -> bytes:
        if "/pages/rest/" in key:
            monkeypatch.undo()
            await StudyDocuments(objects).change("S1", waits(1))
        return await read(key, **options)

    monkeypatch.setattr(objects, "read", read_meanwhile)
    record = await record_of(objects)
    assert (len(record.pending), len(record.deliveries)) == (1, 1)
