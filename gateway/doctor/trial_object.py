"""A test patient's object, stored in an archive and found there again."""

from __future__ import annotations

import datetime as dt
from io import BytesIO
from typing import TYPE_CHECKING

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from gateway.delivery.transport import Rendering
from gateway.doctor.character_sets import TEXTS
from gateway.doctor.findings import FaultError, Outcome, Side
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import RenderingKind

if TYPE_CHECKING:
    from gateway.delivery.transport import Transport
    from gateway.doctor.character_sets import ReadText

PATIENT_ID = "RADSTREAM-TEST"
_MOST_SHOWN = 64
_TIMEOUT_S = 30.0
_SIDE = 16  # rows and columns


async def store_and_find(transport: Transport, name: str, peer: str, read: ReadText) -> str:
    """Store the object, ask for it and for texts, and return what came of that.

    Parameters
    ----------
    name
        Of the destination: all objects that it is ever sent are of one study.
    peer
        The archive in words.
    read
        Returns the description of a series that the archive has; see `dicom_reader`.

    Raises
    ------
    FaultError
        It did not take the object, or took it and has it not, or has another text.
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
    return f"accepted and found again, {await _texts(transport, name, peer, read)}"


async def _texts(transport: Transport, name: str, peer: str, read: ReadText) -> str:
    """Store a series for each character set, and return what came of their descriptions."""
    changed: dict[str, str] = {}
    for term, text in TEXTS.items():
        trial, deadline = trial_object(name, (term, text)), Deadline.after(_TIMEOUT_S)
        try:
            await transport.send(trial, deadline)
        except (DeliveryRefusedError, DeliveryUnansweredError) as error:
            raise FaultError(
                f"an object in the character set {term} is not stored: {error.reason}",
                Side.PEER,
                f"let {peer} take {term}: results carry the character set of their study",
            ) from error
        found = await read(*_uids(name, term))
        if found is None:
            return "without an answer to a search for its texts"
        if found != text:
            changed[term] = found[:_MOST_SHOWN]
    for term, found in changed.items():
        raise FaultError(
            f"its answers to searches change texts in {', '.join(changed)}: "
            f"{TEXTS[term]!r} comes as {found!r}",
            Side.PEER,
            f"the character set in which {peer} answers searches: UTF-8 (ISO_IR 192), such as "
            "DefaultEncoding of Orthanc; and those that it keeps",
            Outcome.WARNING,
        )
    return f"texts in {len(TEXTS)} character sets too"


def trial_object(name: str, text: tuple[str, str] | None = None) -> Rendering:
    """Return a Secondary Capture of a patient that does not exist, a new one of its study.

    Parameters
    ----------
    text
        Character set, and a text in it that describes the series, which is one of its own.
    """
    now = dt.datetime.now(dt.UTC)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = uid = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, uid
    dataset.PatientName, dataset.PatientID = "TEST^RADSTREAM", PATIENT_ID
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uids(name, text[0] if text else "series")
    dataset.StudyID = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = dataset.SeriesDescription = "Connection test, no patient"
    if text is not None:
        term, dataset.SeriesDescription = text
        # Code extensions begin with the default repertoire (PS3.3, C.12.1.1.2).
        dataset.SpecificCharacterSet = ["", term] if term.startswith("ISO 2022") else term
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


def _uids(name: str, series: str) -> tuple[str, str]:
    """Return the UIDs of a destination's study and of one of its series."""
    own = ["radstream doctor", name]
    return generate_uid(entropy_srcs=own), generate_uid(entropy_srcs=[*own, series])
