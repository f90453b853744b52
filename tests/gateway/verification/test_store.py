"""Verification of a store: each kind of fault is found, in a folder and in a bucket alike."""

import datetime as dt
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.dropfolder.documents import Binding, WaitingHalf
from gateway.errors import GivenUpError, StoreUnavailableError
from gateway.observability.pseudonyms import key_reference
from gateway.problems import problem_of
from gateway.results import deletion
from gateway.results.documents import FrameReading, Reading
from gateway.results.store import Request, ResultStore
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.submissions import StudySubmissions
from gateway.results.tombstone import Closing, Reason, Tombstone
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.result import Finding as ModelFinding
from gateway.schemas.result import ModelVersion
from gateway.storage.folder import FolderStore
from gateway.storage.layout import CALLBACKS, STORE, SUBMISSIONS
from gateway.storage.protocol import ObjectStore
from gateway.verification.findings import Kind
from gateway.verification.store import Verification
from gateway.work.claims import Claims
from gateway.work.documents import PendingCallback, Submission, SubmittedPart
from gateway.work.entries import Entries
from gateway.work.keys import WorkId, entry_key, parked_key
from gateway.work.parked import Parking
from tests.support.s3 import new_store
from tests.support.store import MemoryStore

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
IMAGE = b"an image"
SHA256 = hashlib.sha256(IMAGE).hexdigest()
FOLDER = f"results/S1/images/{SHA256}"
OBJECT = f"{FOLDER}/image-00c0ffee.png"
DOCUMENT = "results/S1/result.json"
TYPE = "application/octet-stream"
WAITS, FAILED = (WorkId("S1", f"20260131T12000000000{n}Z-00") for n in range(2))
ENTRY, NOTICE = (entry_key(kind, WAITS, NOON) for kind in (SUBMISSIONS, CALLBACKS))


async def fill(objects: ObjectStore) -> str:
    """Put one of everything into the store; return the folder of the work that failed."""
    results = results_on(objects)
    finding = ModelFinding(label="bright", probability=0.75, threshold=0.5, positive=True)
    reading = Reading(
        study_id="S1",
        sha256=SHA256,
        media_type="image/png",
        object="image-00c0ffee.png",
        model=ModelVersion(name="brightness", version="1"),
        received_at=NOON,
        completed_at=NOON,
        timings_ms={},
        warnings=(),
        metadata={"view": "AP"},
        frames=(FrameReading(rows=1, columns=1, bits_stored=8, findings=(finding,)),),
    )
    metadata = StudyMetadata.model_validate(
        {"study_id": "S1", "view": "AP", "timestamp": NOON.isoformat()}
    )
    problem = problem_of(GivenUpError(3))
    entry = NotProcessedDocument(
        part="image[1]", sha256="0" * 64, problem=problem, received_at=NOON, beside=(SHA256,)
    )
    await put(objects, OBJECT, IMAGE)
    request = Request(metadata, NOON, (reading,), {"image[0]": reading}, entries=(entry,))
    await results.add("S1", await results.known(metadata), request)
    await results.add_heatmap(reading, 0, b"a heat map")
    await results.note_standing("S1", "name", SHA256)

    parking = Parking(objects, problem_of)
    claims = Claims(lease_s=60)
    entries = Entries(objects, kind=SUBMISSIONS, document=Submission, claims=claims)
    parts = (SubmittedPart(part="image", object="image-1"),)
    submission = Submission(received_at=NOON, metadata=None, parts=parts, image_bytes=1, context={})
    states = StudySubmissions(StudyDocuments(objects))
    for work in (WAITS, FAILED):
        await entries.add(work, submission, {"image-1": IMAGE})
        await states.promise(work, metadata, 1, Seen())
    item = await parking.park_work(parked_key(SUBMISSIONS, FAILED), GivenUpError(3))
    await entries.keep_job(FAILED, NOON, submission)
    await states.failed(FAILED, 3, item)
    await entries.remove(FAILED, NOON)
    notices = Entries(objects, kind=CALLBACKS, document=PendingCallback, claims=claims)
    notice = PendingCallback(url="https://ris.test/")
    await notices.add(WAITS, notice)
    await parking.park_work(parked_key(CALLBACKS, FAILED), GivenUpError(3))
    await notices.keep_job(FAILED, NOON, notice)
    for key, document in (
        ("pairing/bindings/" + "a" * 64 + ".json", Binding(study="0" * 64)),
        ("pairing/waiting/a/b.json", WaitingHalf(key="images/x.json", since=NOON)),
    ):
        await put(objects, key, document.model_dump_json(by_alias=True).encode())
    await put(objects, tombstone_key("gone"), tombstone())
    return parked_key(SUBMISSIONS, FAILED)


def results_on(objects: ObjectStore, **changes: Any) -> ResultStore:
    return ResultStore(objects, StudyDocuments(objects, **changes))


def tombstone() -> bytes:
    document = Tombstone(deleted_at=NOON, reason=Reason.REQUEST, older_versions_kept=False)
    return document.model_dump_json(by_alias=True).encode()


def tombstone_key(study_id: str, at: dt.datetime = NOON) -> str:
    return f"{deletion.deletion_folder(study_id)}{at:%Y%m%dT%H%M%S%fZ}.json"


async def put(objects: ObjectStore, key: str, data: bytes) -> None:
    await objects.replace(key, data, media_type=TYPE)


async def found(objects: ObjectStore) -> set[tuple[Kind, str]]:
    """What is amiss, by kind and key."""
    return {(each.kind, each.key) async for each in Verification(objects).findings()}


@pytest.fixture
async def folder_store(tmp_path: Path) -> ObjectStore:
    store = FolderStore(tmp_path / "store")
    await store.open()
    return store


@pytest.fixture
async def s3_store(s3_url: str) -> AsyncIterator[ObjectStore]:
    async with new_store(s3_url) as store:
        yield store


@pytest.fixture(params=["folder_store", "s3_store"])
def objects(request: pytest.FixtureRequest) -> ObjectStore:
    opened: ObjectStore = request.getfixturevalue(request.param)
    return opened


async def test_a_whole_store_has_nothing_amiss_and_is_only_read(objects: ObjectStore):
    await fill(objects)
    before = [(key, await objects.read(key)) for key in await objects.keys("")]
    verification = Verification(objects)
    assert [finding async for finding in verification.findings()] == []
    assert (verification.studies, verification.checked) == (1, len(before))
    assert [(key, await objects.read(key)) for key in await objects.keys("")] == before


@pytest.mark.parametrize(
    "key",
    [
        DOCUMENT,
        *("WORK/job.json", ENTRY, NOTICE, f"results/S1/callbacks/{FAILED.id}/job.json"),
        *("parked/" + "0" * 32 + ".json", f"pairing/bindings/{'a' * 64}.json"),
        "pairing/waiting/a/b.json",
        *(tombstone_key("gone"), "work/deletions/" + "a" * 32 + ".json"),
    ],
)
async def test_a_document_that_is_not_readable_is_told(key: str, folder_store: ObjectStore):
    work = await fill(folder_store)
    key = key.replace("WORK", work)
    await put(folder_store, key, b'{"name": "Doe^J')
    assert (Kind.UNREADABLE_DOCUMENT, key) in await found(folder_store)


@pytest.mark.parametrize("prefix", STORE)
async def test_every_place_of_the_store_is_looked_at(prefix: str):
    objects = MemoryStore()
    objects.objects[f"{prefix}0/0/work.json"] = b"{"
    assert any(kind is not Kind.ORPHAN_OBJECT for kind, _ in await found(objects))


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
    waiting = f"{parked_key(SUBMISSIONS, WAITS)}/image-1"
    parked = f"parked/{key_reference(work)}.json"
    gone = (OBJECT, f"{work}/image-1", waiting, parked)
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
    first, second = await objects.keys("results/S1/pages/")
    image = OBJECT.replace(SHA256, "1" * 64)
    assert await found(objects) == {(Kind.MISSING_OBJECT, image)}
    await objects.delete(second)
    assert await found(objects) == {(Kind.MISSING_OBJECT, second)}
    await put(objects, first, b"{")
    assert (Kind.UNREADABLE_DOCUMENT, first) in await found(objects)


async def test_a_study_whose_document_is_gone_is_told(objects: ObjectStore):
    work = await fill(objects)
    await objects.delete(DOCUMENT)
    waiting = parked_key(SUBMISSIONS, WAITS)
    begun = {f"{work}/job.json", f"{work}/image-1", f"{waiting}/image-1"}
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
    assert await found(objects) == {(Kind.MISSING_OBJECT, f"{work}/job.json")}


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


async def test_what_nothing_names_is_noted_and_no_fault(objects: ObjectStore):
    await fill(objects)
    begun = "results/S1/submissions/20260131T120000000009Z-00/image-1"
    lost = f"results/S3/images/{SHA256}/image-00c0ffee.png"
    for key in ("results/S1/a.txt", "elsewhere/b", "results/S1/images/x/image.png", lost, begun):
        await put(objects, key, b"x")
    findings = [finding async for finding in Verification(objects).findings()]
    assert {(each.kind, each.key) for each in findings} == {
        (Kind.ORPHAN_OBJECT, "results/S1/a.txt"),
        (Kind.ORPHAN_OBJECT, "results/S1/images/x/image.png"),
        (Kind.ORPHAN_OBJECT, "elsewhere/"),
        (Kind.ORPHAN_OBJECT, begun),
        (Kind.ORPHAN_OBJECT, lost),
    }
    assert not any(finding.is_fault for finding in findings)


async def test_an_object_that_the_store_does_not_give_is_told():
    class BadSector(MemoryStore):
        async def read(self, key: str, **options: Any) -> bytes:
            if key == OBJECT:
                raise StoreUnavailableError("Input/output error")
            return await super().read(key, **options)

    objects = BadSector()
    await fill(objects)
    assert await found(objects) == {(Kind.UNREADABLE_OBJECT, OBJECT)}


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


async def test_memory_does_not_grow_with_the_store():
    objects = MemoryStore()
    for number in range(256):
        objects.objects[f"results/S{number}/note.txt"] = b""
        objects.objects[f"pairing/bindings/{number:02x}.json"] = b""
    await found(objects)
    at_once = max(
        sum(key.startswith(prefix) for key in objects.objects)
        for call, prefix in objects.calls
        if call == "keys"
    )
    assert at_once == 16  # the bindings of one digit
