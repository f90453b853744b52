"""The check of an object before it is sent: what it finds wrong never leaves the gateway.

It is no validator: it looks for what archives and viewers need to file and show an object, and for
what would file it with another patient or as a physician's.

References
----------
DICOM PS3.3, C.7.1.1, C.7.2.1, C.12.1, C.17.2 and A.8.1; PS3.10, 7.1.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from gateway.delivery.dicom_objects import parsed
from gateway.delivery.message_conformance import message_faults, notice_faults, transaction_faults
from gateway.errors import DeliveryRefusedError, RenderingNotConformantError
from gateway.schemas.result import RenderingKind
from gateway.studies.dicom_instance import is_uid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import FileDataset

    from gateway.delivery.transport import Rendering

_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# Of type 2: there, though they may be empty.
_PRESENT = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
_PIXELS = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "PhotometricInterpretation")
_BITS = 8


def check(rendering: Rendering) -> None:
    """Raise where an object is not to be sent. Blocks while it is parsed.

    Raises
    ------
    RenderingNotConformantError
        With each fault, by keyword.
    """
    data, uid = rendering.data, rendering.uid
    match rendering.kind:
        case RenderingKind.FHIR:
            faults = transaction_faults(data, uid)
        case RenderingKind.ORU:
            faults = message_faults(data, uid)
        case RenderingKind.NOTICE:
            faults = notice_faults(data, uid)
        case (
            RenderingKind.STRUCTURED_REPORT
            | RenderingKind.SECONDARY_CAPTURE
            | RenderingKind.REJECTION_NOTE
        ):
            faults = _object_faults(rendering)
    if found := tuple(faults):
        raise RenderingNotConformantError(found)


def _object_faults(rendering: Rendering) -> Iterator[str]:
    try:
        dataset = parsed(rendering.data)
    except DeliveryRefusedError as error:
        yield error.reason
        return
    yield from _common(dataset, rendering.uid)
    if rendering.kind is RenderingKind.STRUCTURED_REPORT:
        yield from _report(dataset, rendering.data)
    elif rendering.kind is RenderingKind.REJECTION_NOTE:
        yield from _evidence(dataset)
    else:
        yield from _image(dataset)


def _common(dataset: FileDataset, uid: str) -> Iterator[str]:
    for keyword in _UIDS:
        if not is_uid(str(dataset.get(keyword, ""))):
            yield f"{keyword} is no UID"
    meta = dataset.file_meta
    if meta.get("MediaStorageSOPInstanceUID") != dataset.get("SOPInstanceUID"):
        yield "MediaStorageSOPInstanceUID is another"
    if meta.get("MediaStorageSOPClassUID") != dataset.get("SOPClassUID"):
        yield "MediaStorageSOPClassUID is another"
    if "TransferSyntaxUID" not in meta:
        yield "TransferSyntaxUID is missing"
    if dataset.get("SOPInstanceUID") != uid:
        yield "SOPInstanceUID is not that of the rendering"
    if not dataset.get("Modality"):
        yield "Modality is missing"
    for keyword in _PRESENT:
        if keyword not in dataset:
            yield f"{keyword} is missing"


def _report(dataset: FileDataset, data: bytes) -> Iterator[str]:
    if dataset.get("VerificationFlag") != "UNVERIFIED":
        yield "VerificationFlag is not UNVERIFIED"
    if dataset.get("CompletionFlag") != "COMPLETE":
        yield "CompletionFlag is not COMPLETE"
    if not dataset.get("ContributingEquipmentSequence"):
        yield "ContributingEquipmentSequence is missing"
    yield from _evidence(dataset)
    if not _is_parsed_back(data):
        yield "its content cannot be parsed back"


def _evidence(dataset: FileDataset) -> Iterator[str]:
    evidence = dataset.get("CurrentRequestedProcedureEvidenceSequence") or ()
    if not evidence:
        yield "CurrentRequestedProcedureEvidenceSequence is missing"
    if any(item.get("StudyInstanceUID") != dataset.get("StudyInstanceUID") for item in evidence):
        yield "CurrentRequestedProcedureEvidenceSequence names another study"


def _is_parsed_back(data: bytes) -> bool:
    # Half a second of imports, which a gateway that brings no report is spared.
    from highdicom.sr import srread  # noqa: PLC0415 - see above

    try:
        srread(BytesIO(data))
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return True


def _image(dataset: FileDataset) -> Iterator[str]:
    for keyword in _PIXELS:
        if not dataset.get(keyword):
            yield f"{keyword} is missing"
            return
    if dataset.get("BurnedInAnnotation") != "YES":
        yield "BurnedInAnnotation is not YES"
    if not dataset.get("ConversionType"):
        yield "ConversionType is missing"
    if "PixelData" not in dataset:
        yield "PixelData is missing"
    elif not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        samples = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
        expected = samples * dataset.BitsAllocated // _BITS
        if len(dataset.PixelData) != expected + expected % 2:
            yield "PixelData is not as long as its rows and columns say"
