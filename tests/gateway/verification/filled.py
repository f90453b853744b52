"""A store with one of everything, and what a verification finds in it."""

import datetime as dt
import hashlib
from typing import Any

from gateway.deferred.submitted_images import SubmittedImages
from gateway.dropfolder.documents import Binding, WaitingHalf
from gateway.errors import GivenUpError
from gateway.problems import problem_of
from gateway.results import deletion
from gateway.results.instances import InstancePointer, Instances
from gateway.results.joins import Request
from gateway.results.keys import submitted_key
from gateway.results.store import ResultStore
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.submissions import StudySubmissions
from gateway.results.tombstone import Reason, Tombstone
from gateway.routing.sources import StoredRouting
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.result import RenderingKind
from gateway.storage.layout import CALLBACKS, SUBMISSIONS
from gateway.storage.protocol import ObjectStore
from gateway.verification.findings import Kind
from gateway.verification.store import Verification
from gateway.work.claims import Claims
from gateway.work.documents import (
    PendingCallback,
    PendingDelivery,
    Submission,
    SubmittedPart,
)
from gateway.work.entries import Entries
from gateway.work.keys import WorkId, delivery_kind, entry_key, parked_key
from gateway.work.parked import Parking
from tests.support.readings import frame, reading

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
IMAGE = b"an image"
SHA256 = hashlib.sha256(IMAGE).hexdigest()
FOLDER = f"results/S1/images/{SHA256}"
OBJECT = f"{FOLDER}/image-00c0ffee.png"
DOCUMENT = "results/S1/result.json"
TYPE = "application/octet-stream"
WAITS, FAILED = (WorkId("S1", f"20260131T12000000000{n}Z-00") for n in range(2))
ENTRY, NOTICE, BROUGHT = (
    entry_key(kind, WAITS, NOON) for kind in (SUBMISSIONS, CALLBACKS, delivery_kind("pacs"))
)


async def fill(objects: ObjectStore) -> str:
    """Put one of everything into the store; return the folder of the work that failed."""
    results = results_on(objects)
    image = reading(
        1,
        frame(rows=1, columns=1, activation_map=None),
        sha256=SHA256,
        media_type="image/png",
        object="image-00c0ffee.png",
        metadata={"view": "AP"},
    )
    metadata = StudyMetadata.model_validate(
        {"study_id": "S1", "view": "AP", "timestamp": NOON.isoformat()}
    )
    problem = problem_of(GivenUpError(3))
    entry = NotProcessedDocument(
        part="image[1]", sha256="0" * 64, problem=problem, received_at=NOON, beside=(SHA256,)
    )
    await put(objects, OBJECT, IMAGE)
    request = Request(metadata, NOON, (image,), {"image[0]": image}, entries=(entry,))
    await results.add("S1", await results.known(metadata), request)
    await results.add_heatmap(image, 0, b"a heat map")
    await results.note_standing("S1", "name", SHA256)

    parking = Parking(objects, problem_of)
    claims = Claims(lease_s=60)
    entries = Entries(objects, kind=SUBMISSIONS, document=Submission, claims=claims)
    documents = StudyDocuments(objects)
    states, images = StudySubmissions(documents), SubmittedImages(objects, documents)
    for work in (WAITS, FAILED):
        submission = submission_of(work)
        await entries.add(work, submission)
        await images.write(work, submission, dict.fromkeys(("image", "report"), IMAGE))
        await states.promise(work, metadata, 1, Seen())
    item = await parking.park_work(parked_key(SUBMISSIONS, FAILED), GivenUpError(3))
    await entries.keep_job(FAILED, NOON, submission)
    await states.failed(FAILED, submission.model_copy(update={"attempts": 3}), item)
    await entries.remove(FAILED, NOON)
    notices = Entries(objects, kind=CALLBACKS, document=PendingCallback, claims=claims)
    notice = PendingCallback(url="https://ris.test/")
    await notices.add(WAITS, notice)
    await parking.park_work(parked_key(CALLBACKS, FAILED), GivenUpError(3))
    await notices.keep_job(FAILED, NOON, notice)
    brought = Entries(objects, kind=delivery_kind("pacs"), document=PendingDelivery, claims=claims)
    delivery = PendingDelivery(rendering=RenderingKind.STRUCTURED_REPORT, revision="")
    await brought.add(WAITS, delivery)
    await parking.park_work(parked_key(delivery_kind("pacs"), FAILED), GivenUpError(3))
    await brought.keep_job(FAILED, NOON, delivery)
    pointer = InstancePointer(study_id="S1", sop_class_uid="1.2.3", submission_id=WAITS.id)
    await Instances(objects).add("1.2.3.4", pointer)
    for key, document in (
        ("pairing/bindings/" + "a" * 64 + ".json", Binding(study="0" * 64)),
        ("pairing/waiting/a/b.json", WaitingHalf(key="images/x.json", since=NOON)),
    ):
        await put(objects, key, document.model_dump_json(by_alias=True).encode())
    await put(objects, tombstone_key("gone"), tombstone())
    await StoredRouting(objects).write(b'{"schema": "radstream.routing/1"}')
    return parked_key(SUBMISSIONS, FAILED)


def submission_of(work: WorkId) -> Submission:
    """Return a submission of an image and of a file that no model can read."""
    parts = (
        SubmittedPart(part="image", object=f"image-0000000{work.id[20]}.png", sha256=SHA256),
        SubmittedPart(part="report", object="image-2"),
    )
    return Submission(received_at=NOON, metadata=None, parts=parts, image_bytes=1, context={})


def parts_of(work: WorkId) -> list[str]:
    """Return the keys of a submission's image, and of the file."""
    return [submitted_key(work, part) for part in submission_of(work).parts]


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
