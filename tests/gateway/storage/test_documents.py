"""Stored documents outlive the code: fields from the future, and bytes that are no document."""

import base64
import datetime as dt
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from gateway.admission.day_counts import DayCounts
from gateway.dimse.commitment_work import OwedReport
from gateway.dropfolder.documents import Binding, WaitingHalf
from gateway.dropfolder.waiting import WaitingHalves
from gateway.errors import GivenUpError, ParkedItemNotFoundError, UnreadableDocumentError
from gateway.models.acceptances import Acceptance
from gateway.monitoring.counts import FindingCounts, ReadingCounts, TruthCounts
from gateway.monitoring.cusum import Evidence
from gateway.monitoring.documents import AcceptanceRun, Day, ModelHealth, Signal, Silence
from gateway.problems import problem_of
from gateway.results.asked_commitments import AskedCommitment, KeptReport
from gateway.results.completion import CompletionEntry
from gateway.results.document_room import RecordRest
from gateway.results.documents import (
    ActivationMap,
    BesideEntry,
    Completion,
    DeliveryItem,
    FailedImage,
    FailedImages,
    FrameReading,
    MissingReading,
    Page,
    PageEntry,
    PageList,
    PendingImages,
    Reading,
    SearchAttributes,
    StudyDocument,
    StudyRecord,
)
from gateway.results.instances import InstancePointer
from gateway.results.shadows import ReadingPair, ShadowFrame, ShadowReading
from gateway.results.tombstone import Closing, Indexed, Reason, Tombstone
from gateway.results.withdrawn_study import CaptureReference, WithdrawnStudy
from gateway.routing.canary_readings import CanaryReading, CanaryReadings, VerdictPair
from gateway.routing.roll_back import RolledBack
from gateway.schemas.audit import AuditAction, AuditAgent, AuditOutcome, AuditRecord
from gateway.schemas.feedback import Feedback
from gateway.schemas.not_processed import NotProcessed, NotProcessedDocument
from gateway.schemas.parked import Half, ParkedItem
from gateway.schemas.problem import Problem, ProblemFault
from gateway.schemas.result import (
    SCHEMA,
    Code,
    Finding,
    Mode,
    ModelVersion,
    RenderingKind,
    ResultWarning,
    Status,
)
from gateway.schemas.stored_document import StoredDocument
from gateway.search.day_file import PartHead
from gateway.search.entries import IndexEntry
from gateway.search.hash_key import HashKeyDocument
from gateway.search.reconciliation import Reconciled
from gateway.storage.documents import (
    create_document,
    read_document,
    read_or_none,
    read_or_renew,
    replace_document,
    swap_document,
)
from gateway.work.documents import (
    Claim,
    OwedReadings,
    PendingCallback,
    PendingDelivery,
    Submission,
    SubmittedPart,
    WorkDocument,
)
from gateway.work.parked import Parking
from tests.support.store import MemoryStore

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
FUTURE = {"nested": [1, {"deeper": None}]}
PROBLEM = Problem(
    type="urn:radstream:problem:unreadable-image",
    title="Damaged image",
    status=422,
    detail="Export it again.",
    errors=[ProblemFault(pointer="image[0]", detail="is truncated")],
)
MODEL = ModelVersion(name="m", version="1")
FINDING = Finding(
    label="bright",
    code=Code(system="http://snomed.info/sct", code="1", display="Bright"),
    probability=0.5,
    threshold=0.5,
    positive=True,
)
PART = SubmittedPart(part="image[0]", object="image-1")
MAP = ActivationMap(shape=(1, 1, 1), data=base64.b64encode(b"\0\0"))
FRAME = FrameReading(rows=1, columns=1, bits_stored=8, findings=(FINDING,), activation_map=MAP)
READING = Reading(
    study_id="S1",
    number=1,
    sha256="00",
    media_type="image/png",
    object="image-0.png",
    model=MODEL,
    received_at=NOON,
    completed_at=NOON,
    timings_ms={"total": 1.0},
    warnings=(ResultWarning(pointer="/x", detail="unknown"),),
    metadata={"view": "AP"},
    frames=(FRAME,),
)
OPEN_IMAGE = NotProcessedDocument(
    part="image[1]", sha256="00", problem=PROBLEM, received_at=NOON, beside=("01",)
)
ENTRY = PageEntry(
    name="000001-000001-00000000",
    readings=1,
    images=1,
    hashes=base64.b64encode(b"\0\0\0"),
    completed_at=NOON,
    positive=("bright",),
)
LISTED = BesideEntry(name="000001-000001-00000000", bytes=2, pages=1)
WAITING = PendingImages(id="20260131T120000000000Z-00", images=1, due=NOON, problem="overloaded")
FAILED = FailedImages(
    id="20260131T120000000001Z-00",
    images=1,
    attempts=2,
    failed_at=NOON,
    problem="unreadable-image",
    told=PROBLEM,
    sent=(FailedImage(hash="0123456789abcdef"),),
)
CLAIM = Claim(owner="o", expires_at=NOON)
COMPLETION = Completion(work="20260131T120000000000Z-00", last_instance_at=NOON, expected=2)
SEARCHED = SearchAttributes(modalities=("DX",), series={"1.2.3": 1})
INDEXED = Indexed(day=NOON.date(), pointers=("index/by/patient/00",))
RECORD = StudyRecord(
    study_id="S1",
    received_at=NOON,
    changed_at=NOON,
    identity={"patient_id": "P1"},
    images=2,
    page_lists=(LISTED,),
    rest=BesideEntry(name="0123456789abcdef", bytes=2),
    pages=(ENTRY,),
    readings=(READING,),
    open_images=(OPEN_IMAGE,),
    pending=(WAITING,),
    failed=(FAILED,),
    standing={"a.png": "00"},
)

MISSING = MissingReading(sha256="00", name="cxr", problem="model-failed", since=NOON)

SHADOW_FRAME = ShadowFrame(findings=(FINDING,))
PAIR = ReadingPair(
    model=MODEL, mode=Mode.LIVE, label="bright", probability=0.5, shadow_probability=0.6
)
FEEDBACK = Feedback(label="bright", judgement="agree", present=True, author="Dr. Weber", at=NOON)
CAPTURE = CaptureReference(series_instance_uid="1.2", sop_instance_uid="1.2.3", corrections=0)
COUNTS = ReadingCounts(readings=1, features={"view": {"AP": 1}})
SIGNAL = Signal(value=0.1, limit=0.2, n=100)
DAY = Day(day="2026-01-31", readings=1)
RUN = AcceptanceRun(run="0123456789abcdef", counts=COUNTS, since=NOON, until=NOON)
SILENCE = Silence(rule="drift", cause="it drifted", since=NOON)
TRUTH = TruthCounts(true_positive=1)

EXAMPLES: dict[type[BaseModel], BaseModel] = {
    type(example): example
    for example in (
        StudyDocument(schema_=SCHEMA, record=RECORD),
        RECORD,
        ENTRY,
        Page(readings=(READING,)),
        LISTED,
        PageList(pages=(ENTRY,)),
        RecordRest(pending=(WAITING,), failed=(FAILED,), standing={"a.png": "00"}),
        MAP,
        FRAME,
        READING,
        OPEN_IMAGE,
        PART,
        Submission(
            received_at=NOON,
            metadata=base64.b64encode(b"{}"),
            parts=(PART,),
            image_bytes=1,
            claim=CLAIM,
            context={"request_id": "r"},
        ),
        PendingCallback(
            url="https://example.org/",
            problem=PROBLEM,
            not_processed=(NotProcessed(part="image[1]", sha256="00", problem=PROBLEM),),
        ),
        WAITING,
        FAILED,
        FAILED.sent[0],
        CLAIM,
        MISSING,
        DeliveryItem(
            id="a",
            destination="pacs",
            rendering=RenderingKind.STRUCTURED_REPORT,
            revision="00",
            at=NOON,
        ),
        PendingDelivery(rendering=RenderingKind.STRUCTURED_REPORT, revision="00"),
        OwedReadings(claim=CLAIM),
        COMPLETION,
        CompletionEntry(claim=CLAIM),
        SEARCHED,
        INDEXED,
        InstancePointer(study_id="S1", sop_class_uid="1.2", submission_id="20260131-00"),
        OwedReport(
            sender="pacs",
            address="127.0.0.1",
            request_id="r",
            transaction_uid="1.2.3",
            references=(("1.2", "1.2.3"),),
        ),
        AskedCommitment(
            destination="pacs",
            rendering=RenderingKind.STRUCTURED_REPORT,
            revision="00",
            sop_instance_uid="1.2.3",
        ),
        KeptReport(committed=False, reason=0x0112),
        PartHead(revision=1),
        IndexEntry(study_id="S1", received_at=NOON, changed_at=NOON, state=Status.COMPLETED),
        HashKeyDocument(key="0" * 64),
        Reconciled(began_at=NOON),
        WorkDocument(attempts=1, tried_since=NOON),
        ParkedItem(id="0" * 32, parked_at=NOON, half=Half.IMAGE, key="a.png", problem=PROBLEM),
        WaitingHalf(key="a.png", since=NOON),
        Binding(study="00"),
        SHADOW_FRAME,
        PAIR,
        ShadowReading(
            study_id="S1",
            sha256="00",
            model=MODEL,
            completed_at=NOON,
            timings_ms={"total": 1.0},
            frames=(SHADOW_FRAME,),
            pairs=(PAIR,),
        ),
        Acceptance(
            name="m",
            version="1",
            contract_sha256="00",
            accepted_by="Dr. Weber",
            accepted_at=NOON,
            caller="key",
            page="{}",
            signature=base64.b64encode(b"signed"),
        ),
        RolledBack(model="m", version="2", reason="kappa", at=NOON),
        CanaryReadings(
            readings=(CanaryReading(failed=True),),
            pairs={"mass": (VerdictPair(shown=True, shadow=False),)},
        ),
        DayCounts(studies=1, bytes=10),
        FEEDBACK,
        CAPTURE,
        WithdrawnStudy(requested_at=NOON, record=RECORD, captures=(CAPTURE,)),
        COUNTS,
        FindingCounts(verdicts=1, probability={"0.5": 1}),
        Evidence(rise=1.0),
        SIGNAL,
        DAY,
        SILENCE,
        TRUTH,
        ModelHealth(
            model="m",
            version="1",
            reference=COUNTS,
            blocks=(COUNTS,),
            signals={"mean": SIGNAL},
            days=(DAY,),
            truth=(ReadingCounts(truth={"bright": TRUTH}),),
            silence=SILENCE,
            runs=(RUN,),
        ),
        RUN,
        Closing(study_id="S1", requested_at=NOON, reason=Reason.REQUEST),
        Tombstone(deleted_at=NOON, reason=Reason.RETENTION, older_versions_kept=False),
        AuditRecord(
            id=uuid.UUID(int=1),
            recorded_at=NOON,
            operation="GET /v1/studies",
            action=AuditAction.READ,
            outcome=AuditOutcome.SUCCESS,
            agent=AuditAgent(kind="key", name="pacs"),
            instance="i",
        ),
    )
}


def stored_schemas(base: type[BaseModel] = StoredDocument) -> Iterator[type[BaseModel]]:
    for schema in base.__subclasses__():
        if schema.__module__.startswith("gateway."):
            yield schema
        yield from stored_schemas(schema)


def with_the_future(document: BaseModel) -> dict[str, Any]:
    """The document as JSON, each object of a schema with a field that nobody knows yet."""
    written = json.loads(document.model_dump_json(by_alias=True, exclude_none=True))
    for name in type(document).model_fields:
        value = getattr(document, name)
        if isinstance(value, BaseModel):
            written[name] = with_the_future(value)
        elif isinstance(value, tuple | list) and value and isinstance(value[0], BaseModel):
            written[name] = [with_the_future(item) for item in value]
    return written | {"from_the_future": FUTURE}


def test_every_stored_schema_has_an_example_here():
    assert set(stored_schemas()) == set(EXAMPLES)


@pytest.mark.parametrize("schema", EXAMPLES, ids=lambda schema: schema.__name__)
def test_fields_from_the_future_are_passed_over_at_every_depth(schema: type[BaseModel]):
    example = EXAMPLES[schema]
    data = json.dumps(with_the_future(example)).encode()
    assert data.count(b"from_the_future") >= 1
    assert read_document(schema, "parked/x.json", data) == example


def test_the_future_reaches_every_nested_object():
    record = with_the_future(EXAMPLES[StudyDocument])["record"]
    for each in (record["pages"][0], record["open_images"][0]["problem"], record["readings"][0]):
        assert each["from_the_future"] == FUTURE
    [frame] = record["readings"][0]["frames"]
    assert frame["findings"][0]["code"]["from_the_future"] == FUTURE
    assert frame["activation_map"]["from_the_future"] == FUTURE
    assert with_the_future(EXAMPLES[ParkedItem])["problem"]["errors"][0]["from_the_future"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xd8\xff\xe0", "it is not JSON"),
        (b'{"schema": "radstream.waiting/1", "key": "Doe', "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'"Doe^Jane"', "it is not a JSON object"),
        (b"[]", "it is not a JSON object"),
        (b"{}", "these fields are missing or malformed: key, since"),
        (
            b'{"key": {"Doe": 1}, "since": "Doe"}',
            "these fields are missing or malformed: key, since",
        ),
        (
            b'{"schema": "radstream.waiting/2", "key": "k"}',
            "its schema radstream.waiting/2 is not one that this version of RadStream reads",
        ),
        (
            b'{"schema": "Doe", "key": "k", "since": "2026-01-31T12:00:00Z"}',
            "these fields are missing or malformed: schema",
        ),
    ],
)
def test_document_that_cannot_be_read_says_why_and_nothing_of_what_it_holds(
    data: bytes, reason: str
):
    with capture_logs() as lines, pytest.raises(UnreadableDocumentError) as caught:
        read_document(WaitingHalf, "results/Doe-1/result.json", data)
    place = "results/*/result.json"
    assert (caught.value.place, caught.value.reason) == (place, reason)
    assert lines == [
        {
            "event": "store.document_unreadable",
            "log_level": "error",
            "place": place,
            "reason": reason,
        }
    ]
    problem = problem_of(caught.value)
    assert (problem.type, problem.status) == ("urn:radstream:problem:document-unreadable", 502)
    assert place in problem.detail
    assert reason in problem.detail
    assert "Doe" not in problem.model_dump_json()


def test_entries_from_the_future_are_passed_over_in_maps():
    written = with_the_future(EXAMPLES[StudyDocument])
    written["record"]["identity"] |= {"issuer": {"oid": "1.2"}}
    written["record"]["standing"] |= {"b.png": {"sha256": "01"}}
    written["record"]["readings"][0]["timings_ms"] |= {"route": {"rules": 0.5}}
    data = json.dumps(written).encode()
    assert read_document(StudyDocument, "results/S1/x.json", data) == EXAMPLES[StudyDocument]
    written = with_the_future(EXAMPLES[Submission])
    written["context"] |= {"lane": 3}
    data = json.dumps(written).encode()
    assert read_document(Submission, "results/S1/x.json", data) == EXAMPLES[Submission]


@pytest.mark.parametrize("identity", [None, 7, "P1", [1], {"patient_id": 7}, {"patient_id": {}}])
def test_identity_of_another_kind_is_not_passed_over(identity: Any):
    written = with_the_future(EXAMPLES[StudyDocument])
    written["record"]["identity"] = identity
    with pytest.raises(UnreadableDocumentError):
        read_document(StudyDocument, "results/S1/result.json", json.dumps(written).encode())


def test_document_of_a_study_has_its_record_or_that_it_is_being_deleted():
    closing = json.loads(EXAMPLES[Closing].model_dump_json(by_alias=True))
    both = with_the_future(EXAMPLES[StudyDocument]) | {"closing": closing}
    neither = {"schema": SCHEMA}
    for members in (both, neither):
        with pytest.raises(UnreadableDocumentError):
            read_document(StudyDocument, "results/S1/result.json", json.dumps(members).encode())
    deleted = neither | {"closing": closing}
    data = json.dumps(deleted).encode()
    read = read_document(StudyDocument, "results/S1/result.json", data)
    assert read.closing == EXAMPLES[Closing]


async def test_damaged_parked_item_is_left_out_of_lists_and_can_be_discarded():
    objects = MemoryStore()
    parking = Parking(objects, problem_of)
    items = [
        await parking.park_work(f"results/S1/submissions/{n}", GivenUpError(5)) for n in range(4)
    ]
    first, damaged, *others = sorted(item.id for item in items)
    objects.objects[f"parked/{damaged}.json"] = b"{"
    listed = await parking.items(after="", limit=2)
    assert [item.id for item in listed] == [first, others[0]]  # a whole page: there are more
    with pytest.raises(UnreadableDocumentError):
        await parking.item(damaged)
    await parking.discard(damaged)
    assert f"parked/{damaged}.json" not in objects.objects
    with pytest.raises(ParkedItemNotFoundError):
        await parking.discard(damaged)


async def test_damaged_note_of_a_waiting_half_keeps_no_other_back():
    objects = MemoryStore()
    waiting = WaitingHalves(objects)
    half = WaitingHalf(key="images/S1/a.png", since=NOON)
    objects.objects["pairing/waiting/0/1.json"] = b"\0"
    objects.objects["pairing/waiting/0/2.json"] = half.model_dump_json(by_alias=True).encode()
    assert await waiting.all() == [half]


async def test_document_is_created_once_and_replaced_under_its_names_in_the_store():
    objects = MemoryStore()
    key = "pairing/waiting/a/b.json"
    first, second = WaitingHalf(key="a", since=NOON), Binding(study="00")
    assert await read_or_none(objects, WaitingHalf, key) is None
    assert await create_document(objects, key, first)
    assert not await create_document(objects, key, second)
    assert await read_or_none(objects, WaitingHalf, key) == first
    assert json.loads(objects.objects[key]) == {  # without what is None
        "schema": "radstream.waiting/1",
        "key": "a",
        "since": "2026-01-31T12:00:00Z",
        "needs_other": False,
    }
    await replace_document(objects, key, second)
    assert await read_or_none(objects, Binding, key) == second
    with pytest.raises(UnreadableDocumentError):
        await read_or_none(objects, WaitingHalf, key)


async def test_document_that_may_begin_anew_is_written_over_where_it_cannot_be_read():
    store, key = MemoryStore(), "monitoring/x.json"
    assert await read_or_renew(store, DayCounts, key) == (None, None)
    await store.create(key, b"no document", media_type="text/plain")
    found, tag = await read_or_renew(store, DayCounts, key)
    assert found is None
    assert await swap_document(store, key, DayCounts(studies=1), None) is None
    new = await swap_document(store, key, DayCounts(studies=2), tag)
    assert await read_or_renew(store, DayCounts, key) == (DayCounts(studies=2), new)


def test_entry_of_work_is_named_without_its_study():
    key = "work/submissions/20260131T120000Z/20260131T120000000000Z-00.Doe.Jane-1"
    with pytest.raises(UnreadableDocumentError) as caught:
        read_document(Submission, key, b"")
    place = "work/submissions/20260131T120000Z/20260131T120000000000Z-00.*"
    assert caught.value.place == place
