"""Renderings that withdraw what a destination has of a deleted study."""

import json
from io import BytesIO

import pytest
from prometheus_client import CollectorRegistry
from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.observability.metrics import Metrics
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.renderings.oru import control_id
from gateway.renderings.rejections import capture_references
from gateway.renderings.source_header import source_header
from gateway.renderings.withdrawn_results import WithdrawnResults
from gateway.renderings.words import Withdrawal
from gateway.results.documents import DeliveryItem, StudyRecord
from gateway.results.view import study_result
from gateway.results.withdrawn_study import WithdrawnStudy
from gateway.schemas.hl7 import MessageForm
from gateway.schemas.result import RenderingKind
from gateway.studies.imaging import Imaging
from preprocess import Limits
from tests.gateway.renderings.test_rejections import told
from tests.gateway.renderings.test_revisions import RIGHT, STUDY, WRONG
from tests.support.dicom import radiograph
from tests.support.readings import NOON, reading

SR, SC = RenderingKind.STRUCTURED_REPORT, RenderingKind.SECONDARY_CAPTURE
READING = reading(study_instance_uid=STUDY)
[CAPTURE] = capture_references([READING], 0, 0)


@pytest.fixture
def results() -> WithdrawnResults:
    return WithdrawnResults(
        Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    )


def withdrawn(
    *items: DeliveryItem, former: tuple[dict[str, str | None], ...] = (), is_dicom: bool = True
) -> WithdrawnStudy:
    header = source_header(radiograph(StudyInstanceUID=STUDY, PatientID="P-8", PatientName="B^"))
    assert header is not None
    record = StudyRecord.begun("S1").changed(
        received_at=NOON,
        images=1,
        identity=RIGHT,
        former=former,
        readings=(READING,),
        deliveries=items,
    )
    return WithdrawnStudy(
        requested_at=NOON,
        record=record,
        header=header.to_json_dict() if is_dicom else None,
        captures=(CAPTURE,),
    )


def read(data: bytes) -> Dataset:
    return dcmread(BytesIO(data))


async def test_a_report_without_findings_succeeds_the_last_one(results: WithdrawnResults):
    study = withdrawn(told(SR, "1.1"), told(SR, "1.2"))
    [data] = await results.structured_reports(study, "pacs")
    assert [data] == await results.structured_reports(study, "pacs")
    assert b"Withdrawn: the study was deleted." in data
    assert "Image Region" not in str(read(data))
    assert "1.2" in str(read(data).PredecessorDocumentsSequence)
    assert await results.structured_reports(study, "vna") == []


async def test_a_patient_that_was_wrong_is_told_with_the_last(results: WithdrawnResults):
    study = withdrawn(told(SR, "1.1"), former=(WRONG,))
    [data] = await results.structured_reports(study, "pacs")
    assert read(data).PatientID == WRONG["patient_id"]
    assert not read(data).PatientName
    assert b"these are not results of this patient" in data


async def test_a_note_rejects_reports_and_heat_maps(results: WithdrawnResults):
    study = withdrawn(told(SR, "1.1"), told(SC, CAPTURE.sop_instance_uid))
    [data] = await results.rejection_notes(study, "pacs")
    evidence = str(read(data).CurrentRequestedProcedureEvidenceSequence)
    assert "1.1" in evidence
    assert CAPTURE.sop_instance_uid in evidence


async def test_a_study_without_instances_has_no_objects_to_withdraw(results: WithdrawnResults):
    study = withdrawn(told(SR, "1.1"), is_dicom=False)
    assert await results.structured_reports(study, "pacs") == []
    assert await results.rejection_notes(study, "pacs") == []


def test_all_resources_are_entered_in_error(results: WithdrawnResults):
    study = withdrawn(told(RenderingKind.FHIR, "urn:uuid:1"))
    [(_, data)] = results.fhir_transactions(study, IdentifierSystems(), Release.R4, "pacs")
    kinds = {"DiagnosticReport", "Observation"}
    resources = [entry["resource"] for entry in json.loads(data)["entry"]]
    found = {each["status"] for each in resources if each["resourceType"] in kinds}
    assert found == {"entered-in-error"}
    assert results.fhir_transactions(study, IdentifierSystems(), Release.R4, "other") == []


def test_all_observations_are_deleted(results: WithdrawnResults):
    study = withdrawn(told(RenderingKind.ORU, "CONTROL"))
    [(uid, data)] = results.oru_messages(study, MessageForm(), "pacs")
    result = study_result(study.record, whole=True)
    assert uid == control_id(result, RIGHT, Withdrawal.DELETED)
    lines = [line.split(b"|") for line in data.split(b"\r") if line.startswith(b"OBX")]
    assert {line[11] for line in lines} <= {b"D", b"O"}
    assert b"D" in {line[11] for line in lines}


def test_a_message_withdraws_the_wrong_patient_and_not_one_that_was_never_told(
    results: WithdrawnResults,
):
    study = withdrawn(told(RenderingKind.ORU, "CONTROL"), former=(WRONG,))
    [(uid, _)] = results.oru_messages(study, MessageForm(), "pacs")
    result = study_result(study.record, whole=True)
    assert uid == control_id(result, WRONG, Withdrawal.WRONG_PATIENT)
