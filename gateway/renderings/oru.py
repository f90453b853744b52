"""A study's results as an HL7 v2.5.1 message ORU^R01: observations of an order, all preliminary.

The same results give the same message, byte for byte, and the same control ID (MSH-10). A finding
has up to three observations, told from those of others by their Sub-ID (OBX-4): the verdict, whose
identifier is the finding's code, the probability and the threshold. A note says that a machine made
them and that no person has reviewed them.

References
----------
HL7 2.5.1, chapter 7: 7.3.1 (ORU), 7.4.1 (OBR), 7.4.2 (OBX); chapter 3, 3.4.2 (PID). IHE Radiology
Technical Framework, RAD-128: Accession Number in OBR-18, Study Instance UID in an OBX of its own.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from typing import TYPE_CHECKING

from gateway.renderings.hl7_encoding import Encoder, FormattedText
from gateway.renderings.identifiers import derived_uid
from gateway.renderings.words import (
    NOT_REVIEWED,
    WITHDRAWN,
    incompleteness,
    model_name,
    said_of,
)
from gateway.schemas.hl7 import Observation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydicom.dataset import Dataset

    from gateway.renderings.hl7_encoding import Field, Repetition
    from gateway.renderings.words import Withdrawal
    from gateway.schemas.hl7 import Designator, MessageForm
    from gateway.schemas.result import (
        Code,
        Finding,
        ImageResult,
        ModelVersion,
        ReadingResult,
        StudyResult,
    )

Segment = tuple[str, dict[int, "Field"]]

_SCHEMES = {
    "http://snomed.info/sct": "SCT",
    "http://loinc.org": "LN",
    "http://www.radlex.org": "RADLEX",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
}
_OWN_CODES = "99RADSTREAM"
_VERDICTS: dict[bool | None, Repetition] = {
    True: ("10828004", "Positive", "SCT"),
    False: ("260385009", "Negative", "SCT"),
    None: ("385432009", "Not applicable", "SCT"),
}
_PROBABILITY = ("111012", "Certainty of Finding", "DCM")
_THRESHOLD = ("122411", "Threshold Value", "DCM")
_PERCENT = ("%", "Percent", "UCUM")
_STUDY = ("113014", "DICOM Study", "DCM")
# Name type code U: the name is not known (chapter 3, 3.4.2.5).
_NO_NAME: list[Repetition] = [("", "", "", "", "", "", "U")]
_CONTROL_ID_BYTES = 12  # 20 characters, all that MSH-10 holds
_NAME_GROUP = 64  # characters


def oru_message(
    study: StudyResult,
    identity: Mapping[str, str | None],
    header: Dataset | None,
    form: MessageForm,
    *,
    replaces: str | None = None,
    withdrawal: Withdrawal | None = None,
    deletions: int = 0,
) -> bytes:
    """Return the message, its segments ended by carriage returns.

    Superseded images are left out. Without a patient's identifier the message has no PID segment.

    Parameters
    ----------
    study
        The whole study, all images of it.
    identity
        Identifying attributes of the metadata: `patient_id` and `accession_number`.
    header
        Header of an image in DICOM; see `source_header`. Of another patient than the identity's it
        is not used.
    form
        Form of the messages to the receiver.
    replaces
        Control ID of the message that this one corrects.
    withdrawal
        Cause, where results that were sent do not hold any more.
    deletions
        Number of deletions of the study before: what is told of it again is another message.
    """
    message = _Message(study, identity, header, form, withdrawal)
    control = control_id(study, identity, withdrawal, deletions)
    return Encoder(form.charset).message(list(message.segments(control, replaces)))


def control_id(
    study: StudyResult,
    identity: Mapping[str, str | None],
    withdrawal: Withdrawal | None = None,
    deletions: int = 0,
) -> str:
    """Return the control ID (MSH-10), which changes with what is told of the study.

    That of a withdrawal is the same whatever joined the study since: there is one of an identity.
    """
    told = [
        [image.sha256, image.frame, model_name(reading.model), finding.model_dump(mode="json")]
        for image, reading, _, finding in _findings(study)
    ]
    about: list[object] = [study.study_id, dict(identity), withdrawal]
    if withdrawal is None:
        about += [told, incompleteness(study)]
    if deletions:
        about.append({"deletions": deletions})
    text = json.dumps(about, sort_keys=True)
    digest = hashlib.sha256(text.encode()).digest()[:_CONTROL_ID_BYTES]
    return base64.b32encode(digest).decode().rstrip("=")


class _Message:
    """The segments of a message."""

    def __init__(
        self,
        study: StudyResult,
        identity: Mapping[str, str | None],
        header: Dataset | None,
        form: MessageForm,
        withdrawal: Withdrawal | None,
    ) -> None:
        self._study = study
        self._patient_id = identity.get("patient_id")
        self._accession_number = identity.get("accession_number")
        same = header is not None and header.PatientID == (self._patient_id or "")
        self._header = header if same else None
        self._form = form
        self._withdrawal = withdrawal
        self._changed_at = study.completed_at or study.received_at

    def segments(self, control: str, replaces: str | None) -> Iterator[Segment]:
        """Yield the segments in order."""
        yield self._head(control)
        if self._patient_id is not None:
            yield self._patient()
        yield self._request()
        yield from _notes(self._remarks(replaces))
        for number, (observation, notes) in enumerate(self._observations(), 1):
            yield "OBX", {1: str(number), **observation}
            yield from _notes(notes)

    def _head(self, control: str) -> Segment:
        form = self._form
        return "MSH", {
            3: _designator(form.sending_application),
            4: _designator(form.sending_facility),
            5: _designator(form.receiving_application),
            6: _designator(form.receiving_facility),
            7: _time(self._changed_at),
            9: ("ORU", "R01", "ORU_R01"),
            10: control,
            11: form.processing_id,
            12: "2.5.1",
            18: form.charset.value,
        }

    def _patient(self) -> Segment:
        header = self._header
        authority = _designator(self._form.patient_authority)
        return "PID", {
            1: "1",
            3: (self._patient_id or "", "", "", authority, "MR"),
            5: (_person_names(str(header.PatientName)) if header else []) or _NO_NAME,
            7: header.PatientBirthDate if header else "",
            8: header.PatientSex if header else "",
        }

    def _request(self) -> Segment:
        service = self._form.service
        made_by = _designator(self._form.sending_application)
        number: Repetition = (self._study.study_id, *made_by)
        if self._accession_number is not None:
            number = (self._accession_number, *_designator(self._form.order_authority))
        return "OBR", {
            1: "1",
            3: number,
            4: (service.code, service.display, service.system),
            7: self._observed_at(),
            18: self._accession_number or "",
            22: _time(self._changed_at),
            24: "RAD",
            25: "P" if self._withdrawal is None else "C",
        }

    def _observed_at(self) -> str:
        """Return the study's time in DICOM, which has no zone, else the time of its arrival."""
        header = self._header
        if header is None or not header.StudyDate:
            return _time(self._study.received_at)
        return f"{header.StudyDate}{header.StudyTime.partition('.')[0]}"

    def _remarks(self, replaces: str | None) -> Iterator[str]:
        yield NOT_REVIEWED
        if self._study.disclaimer:
            yield self._study.disclaimer
        if remark := incompleteness(self._study):
            yield remark
        if self._withdrawal is not None:
            yield WITHDRAWN[self._withdrawal]
        if replaces is not None:
            yield f"Replaces message {replaces}."

    def _observations(self) -> Iterator[tuple[dict[int, Field], list[str]]]:
        """Yield each observation's fields from OBX-2 on, with its notes."""
        if self._study.study_instance_uid is not None:
            yield {2: "ST", 3: _STUDY, 5: self._study.study_instance_uid, 11: "O"}, []
        for image, reading, sub_id, finding in _findings(self._study):
            notes = [said_of(finding, reading.applicable), _of_image(image, reading)]
            for observation in self._form.observations:
                yield {**self._common(reading, sub_id), **_value(observation, finding)}, notes
                notes = []

    def _common(self, reading: ReadingResult, sub_id: str) -> dict[int, Field]:
        model = reading.model
        return {
            4: sub_id,
            11: "P" if self._withdrawal is None else self._withdrawal.value,
            14: _time(reading.completed_at),
            18: _equipment(model),
        }


def _findings(
    study: StudyResult,
) -> Iterator[tuple[ImageResult, ReadingResult, str, Finding]]:
    """Yield each finding that stands, with its image, its reading and its Sub-ID.

    What joins the study later changes no Sub-ID: images and readings keep their numbers.
    """
    for image in study.images:
        if image.superseded_by is not None:
            continue
        for nth_reading, reading in enumerate(image.readings, 1):
            for nth, finding in enumerate(reading.findings, 1):
                yield image, reading, f"{image.number}.{nth_reading}.{nth}", finding


def _value(observation: Observation, finding: Finding) -> dict[int, Field]:
    match observation:
        case Observation.VERDICT:
            return {
                2: "CE",
                3: _identifier(finding.code, finding.label),
                5: _VERDICTS[finding.positive],
                8: "A" if finding.positive else "",
            }
        case Observation.PROBABILITY:
            return {2: "NM", 3: _PROBABILITY, 5: _percent(finding.probability), 6: _PERCENT}
        case Observation.THRESHOLD:
            return {2: "NM", 3: _THRESHOLD, 5: _percent(finding.threshold), 6: _PERCENT}


def _identifier(code: Code | None, label: str) -> Repetition:
    own = (label, label, _OWN_CODES)
    scheme = None if code is None else _SCHEMES.get(code.system)
    return own if code is None or scheme is None else (code.code, code.display, scheme, *own)


def _of_image(image: ImageResult, reading: ReadingResult) -> str:
    said = [f"Image {image.number}, read by {model_name(reading.model)}."]
    if image.sop_instance_uid is not None:
        said.append(f"SOP Instance UID {image.sop_instance_uid}.")
    return " ".join(said)


def _notes(texts: Iterator[str] | list[str]) -> Iterator[Segment]:
    for number, text in enumerate(texts, 1):
        # Source of comment L: of the department that fills the order, the sender.
        yield "NTE", {1: str(number), 2: "L", 3: FormattedText(text)}


def _equipment(model: ModelVersion) -> Repetition:
    uid = derived_uid("Device", model.name, model.version)
    return (model_name(model), "", uid, "ISO")


def _designator(designator: Designator | None) -> tuple[str, ...]:
    if designator is None:
        return ()
    parts = designator.namespace, designator.universal_id, designator.universal_id_type
    return tuple(part or "" for part in parts)


def _person_names(name: str) -> list[Repetition]:
    """Return DICOM's groups of a name, each in the order of data type XPN.

    DICOM has the prefix before the suffix (PS3.5, 6.2.1.1), HL7 after it. A group ends with the
    64th character, as many as PS3.5 (6.2) allows: a malformed name would make a malformed message.
    """
    found: list[Repetition] = []
    for whole, representation in zip(name.split("="), "AIP", strict=False):
        group = whole[:_NAME_GROUP]
        family, given, middle, prefix, suffix = (*group.split("^"), *[""] * 5)[:5]
        if group.strip("^ "):
            found.append((family, given, middle, suffix, prefix, "", "L", representation))
    return found


def _percent(value: float) -> str:
    # Ten thousandths of a percent, and never with an exponent, which data type NM has not.
    return f"{value * 100:.4f}".rstrip("0").rstrip(".")


def _time(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.UTC):%Y%m%d%H%M%S}+0000"
