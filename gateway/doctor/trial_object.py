"""A test patient's object, stored in an archive and found there again."""

from __future__ import annotations

import datetime as dt
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from gateway.delivery.transport import Rendering
from gateway.doctor.findings import FaultError, Outcome, Side
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import RenderingKind

if TYPE_CHECKING:
    from gateway.delivery.transport import Transport

PATIENT_ID = "RADSTREAM-TEST"
_TIMEOUT_S = 30.0
_SIDE = 16  # rows and columns


async def store_and_find(transport: Transport, name: str, peer: str) -> str:
    """Store the object, ask for it, and return what came of that.

    Parameters
    ----------
    name
        Of the destination: all objects that it is ever sent are of one study.
    peer
        The archive in words.

    Raises
    ------
    FaultError
        It did not take the object, or took it and has it not.
    """
    trial, deadline = trial_object(name), Deadline.after(_TIMEOUT_S)
    try:
        await transport.send(trial, deadline)
        is_held = await transport.is_held(trial, deadline)
    except (DeliveryRefusedError, DeliveryUnansweredError) as error:
        raise FaultError(
            f"the test patient is not stored: {error.reason}",
            Side.PEER,
            f"let {peer} take Secondary Capture (1.2.840.10008.5.1.4.1.1.7) from the gateway",
        ) from error
    if is_held is None:
        return "accepted; it answers no search for it"
    if not is_held:
        raise FaultError(
            "it accepted the test patient, and does not have it",
            Side.PEER,
            f"see the rules and the log of {peer}: it may drop or move what it takes",
            Outcome.WARNING,
        )
    return "accepted and found again"


def trial_object(name: str) -> Rendering:
    """Return a Secondary Capture of a patient that does not exist, a new one of its study."""
    now = dt.datetime.now(dt.UTC)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = uid = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, uid
    dataset.PatientName, dataset.PatientID = "TEST^RADSTREAM", PATIENT_ID
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["radstream doctor", name])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["radstream doctor", name, "series"])
    dataset.StudyID = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = dataset.SeriesDescription = "Connection test, no patient"
    dataset.StudyDate, dataset.StudyTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.Modality, dataset.ConversionType = "OT", "WSD"
    dataset.SeriesNumber, dataset.InstanceNumber = "1", "1"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = _SIDE
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = bytes(range(256))
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    kind = RenderingKind.SECONDARY_CAPTURE
    return Rendering(kind, str(uid), "application/dicom", file.getvalue())
