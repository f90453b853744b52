"""Reports of studies that are in a store."""

import hashlib
import io
import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.errors import NoDicomContextError, StudyNotFoundError
from gateway.observability.metrics import Metrics
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.renderings.fhir_transaction import report_identifiers
from gateway.renderings.reports import Reports
from gateway.results.image_writes import NewImage
from gateway.results.joins import Request
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.schemas.hl7 import MessageForm
from gateway.schemas.metadata import StudyMetadata, validate_document
from gateway.studies.imaging import Imaging
from preprocess import Limits
from tests.support.dicom import file_of, radiograph
from tests.support.models import flat_png
from tests.support.readings import NOON, reading
from tests.support.store import MemoryStore

METADATA = validate_document(
    {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z", "patient_id": "P-7"}
)

FORM, SYSTEMS = MessageForm(), IdentifierSystems()


@pytest.fixture
def results() -> ResultStore:
    objects = MemoryStore()
    return ResultStore(objects, StudyDocuments(objects))


@pytest.fixture
def reports(results: ResultStore) -> Reports:
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    return Reports(results, imaging)


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


def reported(report: bytes) -> set[str]:
    """The instances that the report is evidence of."""
    [study] = dcmread(io.BytesIO(report)).CurrentRequestedProcedureEvidenceSequence
    return {
        str(image.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
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


async def test_a_study_without_instances_has_no_report(results: ResultStore, reports: Reports):
    await add(results, flat_png(100), media_type="image/png")
    with pytest.raises(NoDicomContextError):
        await reports.structured_report("S1")


async def test_a_study_that_nobody_sent_is_not_found(reports: Reports):
    with pytest.raises(StudyNotFoundError):
        await reports.structured_report("S1")


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
