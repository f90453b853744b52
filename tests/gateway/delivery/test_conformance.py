"""The check before sending: what is wrong never leaves, and what is right does."""

import io
from collections.abc import Callable

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from gateway.delivery.conformance import check
from gateway.delivery.transport import Rendering
from gateway.errors import RenderingNotConformantError
from gateway.schemas.result import RenderingKind
from tests.gateway.renderings.test_rejection_note import note
from tests.support.delivery import report
from tests.support.dicom import file_of, radiograph

SR, SC = RenderingKind.STRUCTURED_REPORT, RenderingKind.SECONDARY_CAPTURE


def with_change(change: Callable[[FileDataset], object]) -> Rendering:
    """A structured report after a change."""
    dataset = dcmread(io.BytesIO(report("S1")))
    uid = str(dataset.SOPInstanceUID)
    change(dataset)
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return Rendering(SR, uid, "application/dicom", file.getvalue())


def test_a_report_as_it_is_made_passes():
    check(with_change(lambda _: None))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.__delattr__("PatientID"), "PatientID is missing"),
        (lambda d: d.__delattr__("StudyInstanceUID"), "StudyInstanceUID is no UID"),
        (lambda d: d.__setattr__("SeriesInstanceUID", ""), "SeriesInstanceUID is no UID"),
        (lambda d: d.__setattr__("SOPInstanceUID", "1.2.9"), "not that of the rendering"),
        (lambda d: d.__setattr__("Modality", ""), "Modality is missing"),
        (lambda d: d.__setattr__("VerificationFlag", "VERIFIED"), "VerificationFlag"),
        (lambda d: d.__setattr__("CompletionFlag", "PARTIAL"), "CompletionFlag"),
        (lambda d: d.__delattr__("ContributingEquipmentSequence"), "ContributingEquipment"),
        (lambda d: d.__delattr__("CurrentRequestedProcedureEvidenceSequence"), "Evidence"),
        (lambda d: d.__setattr__("StudyInstanceUID", "1.2.9"), "names another study"),
        (lambda d: d.__delattr__("ContentSequence"), "parsed back"),
    ],
)
def test_each_fault_of_a_report_is_told(change: Callable[[FileDataset], object], told: str):
    with pytest.raises(RenderingNotConformantError) as caught:
        check(with_change(change))
    assert any(told in reason for reason in caught.value.reasons)


def test_a_rejection_note_needs_the_objects_that_it_names():
    data = note()
    uid = str(dcmread(io.BytesIO(data)).SOPInstanceUID)
    check(Rendering(RenderingKind.REJECTION_NOTE, uid, "application/dicom", data))
    dataset = dcmread(io.BytesIO(data))
    del dataset.CurrentRequestedProcedureEvidenceSequence
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    with pytest.raises(RenderingNotConformantError) as caught:
        check(Rendering(RenderingKind.REJECTION_NOTE, uid, "application/dicom", file.getvalue()))
    assert any("Evidence" in reason for reason in caught.value.reasons)


def image(**changes: object) -> Rendering:
    """A Secondary Capture with these attributes."""
    attributes: dict[str, object] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
        "Modality": "OT",
        "BurnedInAnnotation": "YES",
        "ConversionType": "WSD",
        "ReferringPhysicianName": "",
        "StudyID": "",
        "PatientID": "",
        "PatientName": "",
        "PatientBirthDate": "",
        "PatientSex": "",
        "StudyDate": "",
        "StudyTime": "",
        "AccessionNumber": "",
    }
    dataset = radiograph(**attributes | changes)
    return Rendering(SC, str(dataset.SOPInstanceUID), "application/dicom", file_of(dataset))


def test_an_image_passes():
    check(image())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"BurnedInAnnotation": "NO"}, "BurnedInAnnotation"),
        ({"ConversionType": ""}, "ConversionType"),
        ({"PhotometricInterpretation": ""}, "PhotometricInterpretation"),
        ({"PixelData": b"\0\0"}, "as long as"),
    ],
)
def test_each_fault_of_an_image_is_told(changes: dict[str, object], told: str):
    with pytest.raises(RenderingNotConformantError) as caught:
        check(image(**changes))
    assert any(told in reason for reason in caught.value.reasons)


def test_what_is_no_file_is_told():
    with pytest.raises(RenderingNotConformantError):
        check(Rendering(SR, "1.2", "application/dicom", b"%PDF"))


@pytest.mark.parametrize("kind", [RenderingKind.ORU, RenderingKind.FHIR, RenderingKind.NOTICE])
def test_messages_are_checked_too(kind: RenderingKind):
    with pytest.raises(RenderingNotConformantError):
        check(Rendering(kind, "1", "text/plain", b"{}"))
