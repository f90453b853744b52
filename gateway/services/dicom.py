"""What a DICOM data set says, in the words of the metadata document."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.schemas.metadata import View
from gateway.schemas.result import Notice

if TYPE_CHECKING:
    from preprocess import DicomMetadata

# View Position (0018,5101): the defined terms of PS3.3 C.8.1.1 and C.8.11.5, and what else is met.
# The decubitus terms (LLD, RLD) name how the patient lies and leave the view itself open.
_VIEWS = {
    **dict.fromkeys(("PA",), View.PA),
    **dict.fromkeys(("AP",), View.AP),
    **dict.fromkeys(("LL", "RL", "LAT", "LATERAL"), View.LATERAL),
    **dict.fromkeys(("RLO", "LLO", "RAO", "LAO", "RPO", "LPO", "OBLIQUE"), View.OBLIQUE),
}

# Attributes as the document names them, for a fault that a PACS administrator can act on.
ATTRIBUTES = {
    "study_id": "Study Instance UID (0020,000D)",
    "view": "View Position (0018,5101)",
    "patient_id": "Patient ID (0010,0020)",
    "accession_number": "Accession Number (0008,0050)",
    "study_date": "Study Date (0008,0020)",
    "modality": "Modality (0008,0060)",
    "body_part": "Body Part Examined (0018,0015)",
    "laterality": "Image Laterality (0020,0062) or Laterality (0020,0060)",
}

# PS3.3 C.8.11.1: what the detector gave, which no radiologist would be shown as it is.
_FOR_PROCESSING = (
    "Presentation Intent Type (0008,0068) is FOR PROCESSING: its findings may mean nothing; send "
    "the image FOR PRESENTATION"
)

_ZONE = re.compile(r"([+-])(\d\d)(\d\d)")


@dataclass(frozen=True, slots=True)
class Described:
    """A data set as a metadata document.

    Parameters
    ----------
    document
        The fields the data set has, in the document's own form.
    assumed
        What had to be assumed of the time, unless somebody else tells it.
    notices
        What the sender should know of the picture.
    """

    document: dict[str, Any]
    assumed: tuple[Notice, ...]
    notices: tuple[Notice, ...] = ()


def describe(part: str, header: DicomMetadata, received_at: dt.datetime) -> Described:
    """The data set's attributes as a metadata document.

    Parameters
    ----------
    part
        What the sender knows the file by, for the notices.
    header
        Of the file.
    received_at
        Stands for the study's time where the data set has no date.
    """
    timestamp, assumed = _timestamp(part, header, received_at)
    raw = header.presentation_intent_type == "FOR PROCESSING"
    date = _date(header.study_date)
    fields = {
        "study_id": header.study_instance_uid,
        "view": _view(header.view_position),
        "timestamp": timestamp,
        "patient_id": header.patient_id,
        "accession_number": header.accession_number,
        "study_date": date.isoformat() if date else None,
        "modality": header.modality,
        "body_part": header.body_part_examined,
        "laterality": header.image_laterality or header.laterality,
    }
    return Described(
        {name: value for name, value in fields.items() if value is not None},
        assumed,
        (Notice(pointer=part, detail=_FOR_PROCESSING),) if raw else (),
    )


def _view(term: str | None) -> str | None:
    return None if term is None else _VIEWS.get(term.upper(), View.OTHER).value


def _date(text: str | None) -> dt.date | None:
    """A DA value (PS3.5 section 6.2); the old form with full stops is read as well."""
    try:
        return dt.datetime.strptime((text or "").replace(".", ""), "%Y%m%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        return None


def _timestamp(
    part: str, header: DicomMetadata, received_at: dt.datetime
) -> tuple[str, tuple[Notice, ...]]:
    """Study Date and Time in Timezone Offset From UTC (0008,0201)."""
    date = _date(header.study_date)
    if date is None:
        notice = Notice(
            pointer=part, detail="no Study Date (0008,0020): the time of receipt is used"
        )
        return received_at.isoformat(), (notice,)
    moment = dt.datetime.combine(date, _time(header.study_time), _zone(header))
    if header.timezone_offset_from_utc is None:
        detail = "no Timezone Offset From UTC (0008,0201): the study's time is taken as UTC"
        return moment.isoformat(), (Notice(pointer=part, detail=detail),)
    return moment.isoformat(), ()


def _time(text: str | None) -> dt.time:
    """A TM value (PS3.5 section 6.2), which may stop after the hour or the minute."""
    digits = (text or "").replace(":", "").partition(".")[0]
    try:
        hour, minute, second = (int(digits[at : at + 2] or "0") for at in (0, 2, 4))
        return dt.time(hour, minute, min(second, 59))  # TM has leap seconds
    except ValueError:
        return dt.time()


def _zone(header: DicomMetadata) -> dt.timezone:
    found = _ZONE.fullmatch(header.timezone_offset_from_utc or "")
    if found is None:
        return dt.UTC
    sign, hours, minutes = found.groups()
    offset = dt.timedelta(hours=int(hours), minutes=int(minutes))
    try:
        return dt.timezone(-offset if sign == "-" else offset)
    except ValueError:  # a day or more
        return dt.UTC
