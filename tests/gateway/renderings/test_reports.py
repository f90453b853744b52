"""Reports of studies that are in a store."""

import hashlib
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prometheus_client import CollectorRegistry
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from gateway.errors import NoDicomContextError, NoHeatMapError, StudyNotFoundError
from gateway.observability.metrics import Metrics
from gateway.pictures.pictures import Pictures
from gateway.pictures.rendering import PNG, RenderedView
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.renderings.fhir_transaction import report_identifiers
from gateway.renderings.reports import Reports
from gateway.results.image_writes import NewImage
from gateway.results.joins import Request
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstone import Closing, Reason
from gateway.results.tombstones import Tombstones
from gateway.results.view import picture_key
from gateway.schemas.hl7 import MessageForm
from gateway.schemas.metadata import StudyMetadata, validate_document
from gateway.schemas.result import RenderingKind
from gateway.studies.imaging import Imaging
from preprocess import Limits
from tests.gateway.renderings.test_revisions import told
from tests.support.deletion import deletion_on
from tests.support.dicom import file_of, radiograph
from tests.support.models import flat_png
from tests.support.readings import NOON, frame, reading
from tests.support.store import MemoryStore

METADATA = validate_document(
    {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z", "patient_id": "P-7"}
)

DIM = frame(0.1)
CAPTURE = RenderingKind.SECONDARY_CAPTURE
FORM, SYSTEMS = MessageForm(), IdentifierSystems()


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def documents(objects: MemoryStore) -> StudyDocuments:
    return StudyDocuments(objects)


@pytest.fixture
def results(objects: MemoryStore, documents: StudyDocuments) -> ResultStore:
    return ResultStore(objects, documents)


@pytest.fixture
def reports(objects: MemoryStore, results: ResultStore) -> Reports:
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    pictures = Pictures(results, imaging, at_once=1)
    return Reports(results, imaging, pictures, Tombstones(objects))


async def add(
    results: ResultStore, image: bytes, metadata: StudyMetadata = METADATA, **changes: Any
) -> str:
    """Add an image and its reading to the study as the pipeline does; return its SHA-256."""
    sha256 = hashlib.sha256(image).hexdigest()
    made = reading(sha256=sha256, **changes)
    known = await results.known(metadata, corrects=True)
    writes = results.write_images("S1", [NewImage(sha256, made.media_type, image)])
    await writes.done()
    fresh = made.model_copy(update={"object": writes.names[0]})
    request = Request(metadata, NOON, [fresh], {"image[0]": fresh}, corrects=True)
    await results.add("S1", known, request)
    return sha256


def reported(report: bytes, *, captures: bool = False) -> set[str]:
    """The instances, or the Secondary Captures, that the report is evidence of."""
    [study] = dcmread(io.BytesIO(report)).CurrentRequestedProcedureEvidenceSequence
    return {
        str(image.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
        if (image.ReferencedSOPClassUID == SecondaryCaptureImageStorage) == captures
    }


def instances(*images: Dataset) -> set[str]:
    return {str(image.SOPInstanceUID) for image in images}


async def test_all_instances_of_the_study_are_in_one_report(results: ResultStore, reports: Reports):
    first, second = (radiograph(StudyInstanceUID="1.2.3") for _ in range(2))
    for image in (first, second):
        await add(results, file_of(image))
    report = await reports.structured_report("S1")
    assert reported(report) == instances(first, second)
    assert await reports.structured_report("S1") == report


async def test_pictures_and_superseded_instances_are_left_out(
    results: ResultStore, reports: Reports
):
    old, new = (radiograph(StudyInstanceUID="1.2.3") for _ in range(2))
    await add(results, file_of(old), dropped_as="name")
    current = await add(results, file_of(new), dropped_as="name")
    await results.note_standing("S1", "name", current)
    await add(results, flat_png(100), media_type="image/png")
    assert reported(await reports.structured_report("S1")) == instances(new)


async def test_a_study_has_the_captures_that_its_report_is_evidence_of(
    results: ResultStore, reports: Reports
):
    for image in (radiograph(StudyInstanceUID="1.2.3") for _ in range(2)):
        await add(results, file_of(image))
    negative = await add(results, file_of(radiograph(StudyInstanceUID="1.2.3")), frames=(DIM,))
    await add(results, flat_png(100), media_type="image/png")
    captures = [data async for data in reports.secondary_captures("S1")]
    assert [capture async for capture in reports.secondary_captures("S1")] == captures
    read = [dcmread(io.BytesIO(data)) for data in captures]
    assert instances(*read) == reported(await reports.structured_report("S1"), captures=True)
    assert [capture.InstanceNumber for capture in read] == [1, 2, 3]
    for data, capture in zip(captures, read, strict=True):
        assert await reports.secondary_capture("S1", capture.InstanceNumber) == data
    [key] = (
        picture_key(each, 0) for each in await results.readings("S1") if each.sha256 == negative
    )
    assert await reports.secondary_capture("S1", 1, key=key) == captures[2]


async def test_a_capture_shows_the_picture_of_the_heat_map(results: ResultStore, reports: Reports):
    await add(results, file_of(radiograph()))
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    png = await Pictures(results, imaging, at_once=1).heatmap("S1", 1)
    capture = dcmread(io.BytesIO(await reports.secondary_capture("S1", 1)))
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert np.array_equal(capture.pixel_array[: len(picture)], picture)
    assert len(capture.pixel_array) > len(picture)  # the notice


async def test_a_model_that_is_not_applicable_or_explains_nothing_has_no_capture(
    results: ResultStore, reports: Reports
):
    finding = {**frame().findings[0].model_dump(), "positive": None}
    await add(results, file_of(radiograph()), frames=(frame(findings=(finding,)),))
    plain = frame(activation_map=None)
    await add(results, file_of(radiograph()), frames=(plain,))
    assert [data async for data in reports.secondary_captures("S1")] == []
    with pytest.raises(NoHeatMapError):
        await reports.secondary_capture("S1", 2)


async def test_a_study_without_instances_has_no_report(results: ResultStore, reports: Reports):
    await add(results, flat_png(100), media_type="image/png")
    with pytest.raises(NoDicomContextError):
        await reports.structured_report("S1")
    with pytest.raises(NoDicomContextError):
        await anext(reports.secondary_captures("S1"))
    with pytest.raises(NoDicomContextError):
        await reports.secondary_capture("S1", 1)


async def test_a_study_that_nobody_sent_is_not_found(reports: Reports):
    with pytest.raises(StudyNotFoundError):
        await reports.structured_report("S1")


async def test_a_study_that_is_being_deleted_is_not_found(
    results: ResultStore, documents: StudyDocuments, reports: Reports
):
    await add(results, file_of(radiograph()))
    closing = Closing(study_id="S1", requested_at=NOON, reason=Reason.REQUEST)
    await documents.close(closing, lambda new, _: new)
    for rendered in (
        reports.structured_report("S1"),
        reports.secondary_capture("S1", 1),
        anext(reports.secondary_captures("S1")),
        reports.oru("S1", FORM),
        reports.fhir_transactions("S1", SYSTEMS, Release.R4, "record"),
    ):
        with pytest.raises(StudyNotFoundError):
            await rendered


async def test_what_a_pacs_got_of_a_wrong_patient_is_withdrawn(
    results: ResultStore, documents: StudyDocuments, reports: Reports
):
    original = radiograph(StudyInstanceUID="1.2.3", PatientID="P-7", PatientName="Wrong^A")
    await add(results, file_of(original))
    [data] = await reports.structured_reports("S1", "pacs")
    before = dcmread(io.BytesIO(data))
    [old] = [capture async for capture in reports.secondary_captures("S1")]
    item = told("pacs", str(before.SOPInstanceUID))
    await documents.change("S1", lambda record: record.changed(deliveries=(item,)))
    original.PatientID, original.PatientName = "P-8", "Right^B"
    right = METADATA.model_copy(update={"patient_id": "P-8"})
    await add(results, file_of(original), right)
    gone, now = (
        dcmread(io.BytesIO(data)) for data in await reports.structured_reports("S1", "pacs")
    )
    assert (before.PatientID, gone.PatientID, now.PatientID) == ("P-7", "P-7", "P-8")
    assert (gone.PatientName, now.PatientName) == ("Wrong^A", "Right^B")
    for successor in (gone, now):
        [study] = successor.PredecessorDocumentsSequence
        [document] = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
        assert document.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert "Image Region" not in str(gone)
    assert str(now).count("Image Region") == 1  # once, though the instance came twice
    [new] = [capture async for capture in reports.secondary_captures("S1")]
    assert dcmread(io.BytesIO(new)).PatientID == "P-8"
    assert instances(dcmread(io.BytesIO(new))) != instances(dcmread(io.BytesIO(old)))
    assert reported(await reports.structured_report("S1"), captures=True) == instances(
        dcmread(io.BytesIO(new))
    )
    assert await reports.secondary_capture("S1", 2) == new


async def test_what_a_pacs_got_of_a_wrong_patient_is_rejected(
    results: ResultStore, documents: StudyDocuments, reports: Reports
):
    original = radiograph(StudyInstanceUID="1.2.3", PatientID="P-7", PatientName="Wrong^A")
    await add(results, file_of(original), study_instance_uid="1.2.3")
    assert await reports.rejection_notes("S1", "pacs") == []
    [old] = [dcmread(io.BytesIO(each)) async for each in reports.secondary_captures("S1")]
    item = told("pacs", str(old.SOPInstanceUID)).model_copy(update={"rendering": CAPTURE})
    await documents.change_known("S1", lambda record: record.changed(deliveries=(item,)))
    original.PatientID, original.PatientName = "P-8", "Right^B"
    right = METADATA.model_copy(update={"patient_id": "P-8"})
    await add(results, file_of(original), right, study_instance_uid="1.2.3")
    [data] = await reports.rejection_notes("S1", "pacs")
    note = dcmread(io.BytesIO(data))
    assert (note.PatientID, note.PatientName) == ("P-7", "Wrong^A")
    assert reported(data, captures=True) == instances(old)
    assert [data] == await reports.rejection_notes("S1", "pacs")
    assert await reports.rejection_notes("S1", "vna") == []


async def test_a_study_that_came_again_after_its_deletion_makes_other_objects(
    objects: MemoryStore, results: ResultStore, reports: Reports
):
    image = file_of(radiograph(StudyInstanceUID="1.2.3"))
    made = []
    for reason in (Reason.RETENTION, Reason.REQUEST, None):
        await add(results, image)
        captures = [dcmread(io.BytesIO(each)) async for each in reports.secondary_captures("S1")]
        report = await reports.structured_report("S1")
        assert reported(report, captures=True) == instances(*captures)
        uids = instances(dcmread(io.BytesIO(report)), *captures)
        made.append((uids, (await reports.oru_messages("S1", FORM, "ris"))[0][0]))
        if reason is not None:
            deletion = deletion_on(objects, closed_s=0.0)
            await deletion.delete("S1", reason)
            await deletion.sweep()
    first, after_retention, after_request = made
    assert first == after_retention
    assert not first[0] & after_request[0]
    assert first[1] != after_request[1]


async def test_a_message_has_the_patient_of_the_newest_instance(
    results: ResultStore, reports: Reports
):
    for name in ("Wrong", "Right"):
        patient = {"PatientID": "P-7", "PatientName": name}
        await add(results, file_of(radiograph(StudyInstanceUID="1.2.3", **patient)))
    await add(results, flat_png(100), media_type="image/png")
    message = await reports.oru("S1", FORM)
    assert b"PID|1||P-7^^^^MR||Right^^^^^^L^A" in message
    assert message.count(b"111012^") == 3
    assert await reports.oru("S1", FORM) == message


async def test_a_message_of_a_study_without_instances_has_the_results_alone(
    results: ResultStore, reports: Reports
):
    await add(results, flat_png(100), media_type="image/png")
    message = await reports.oru("S1", FORM)
    assert b"\rPID|1||P-7^^^^MR||^^^^^^U\r" in message
    with pytest.raises(StudyNotFoundError):
        await reports.oru("S2", FORM)


async def test_a_destination_is_told_of_a_study_by_messages_and_by_transactions(
    results: ResultStore, reports: Reports
):
    await add(results, file_of(radiograph(PatientID="P-7", PatientName="Right")))
    [(uid, message)] = await reports.oru_messages("S1", FORM, "ris")
    assert message == await reports.oru("S1", FORM)
    assert f"|{uid}|".encode() in message
    [(uid, transaction)] = await reports.fhir_transactions("S1", SYSTEMS, Release.R4, "record")
    assert report_identifiers(json.loads(transaction))[1] == uid
    with pytest.raises(StudyNotFoundError):
        await reports.oru_messages("S2", FORM, "ris")
    with pytest.raises(StudyNotFoundError):
        await reports.fhir_transactions("S2", SYSTEMS, Release.R4, "record")


async def test_a_heat_map_is_drawn_for_the_eye(results: ResultStore, reports: Reports):
    image = radiograph()
    await add(
        results,
        file_of(image),
        frames=(frame(rows=6, columns=8),),
        study_instance_uid=image.StudyInstanceUID,
        series_instance_uid=image.SeriesInstanceUID,
        sop_instance_uid=image.SOPInstanceUID,
    )
    record = await results.record("S1")
    assert record is not None
    _, heat_map = await reports.result_objects(record, record.readings)
    capture = dcmread(io.BytesIO(await reports.render(heat_map)))
    drawn = np.asarray(Image.open(io.BytesIO(await reports.drawn(heat_map, RenderedView(PNG)))))
    assert np.array_equal(drawn, capture.pixel_array)
