"""The time of a study, by Study Date, Study Time and Timezone Offset From UTC.

pydicom's `DA` and `TM` refuse dates with dashes and times with colons, which some senders write.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preprocess import DicomMetadata

# PS3.5 section 6.2, VR DA, and how the old form and other senders divide it.
_DATE = re.compile(r"([0-9]{4})([.-]?)([0-9]{2})\2([0-9]{2})")
# PS3.5 section 6.2, VR TM, which may stop after the hour or the minute; the old form has colons.
# Of a fraction, which does not count here, some senders write seven digits or only the point.
_TIME = re.compile(r"([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:\.[0-9]*)?)?)?")
# Timezone Offset From UTC (0008,0201) is &ZZXX; ISO 8601 has a colon in it.
_ZONE = re.compile(r"([+-])([0-9]{2}):?([0-5][0-9])")
_WEST, _EAST = dt.timedelta(hours=-12), dt.timedelta(hours=14)  # PS3.3 C.12.1.1.8


def study_date(text: str | None) -> dt.date | None:
    """Return the date of a DA value; None where it is none."""
    found = _DATE.fullmatch(text or "")
    try:
        return None if found is None else dt.date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return None


def study_moment(
    header: DicomMetadata, received_at: dt.datetime
) -> tuple[dt.datetime, tuple[str, ...]]:
    """Return when the study was made, and a clause on each thing that had to be assumed.

    Parameters
    ----------
    header
        Of the file.
    received_at
        Stands in where the data set has no date that can be read.
    """
    date = study_date(header.study_date)
    if date is None:
        flaw = _flaw("StudyDate", header.study_date, header)
        return received_at, (f"Study Date (0008,0020) {flaw}: the time of receipt is used",)
    assumed: list[str] = []
    time = _time(header.study_time)
    if time is None:
        flaw = _flaw("StudyTime", header.study_time, header)
        assumed.append(f"Study Time (0008,0030) {flaw}: midnight is used")
    zone = _zone(header.timezone_offset_from_utc)
    if zone is None:
        flaw = _flaw("TimezoneOffsetFromUTC", header.timezone_offset_from_utc, header)
        assumed.append(
            f"Timezone Offset From UTC (0008,0201) {flaw}: the study's time is taken as UTC"
        )
    return dt.datetime.combine(date, time or dt.time(), zone or dt.UTC), tuple(assumed)


def _flaw(keyword: str, text: str | None, header: DicomMetadata) -> str:
    return "is absent" if text is None and keyword not in header.unreadable else "is malformed"


def _time(text: str | None) -> dt.time | None:
    found = _TIME.fullmatch(text or "")
    if found is None:
        return None
    hour, minute, second = (int(digits or "0") for digits in found.groups())
    if second == 60:  # noqa: PLR2004 - TM has leap seconds
        second = 59
    try:
        return dt.time(hour, minute, second)
    except ValueError:
        return None


def _zone(text: str | None) -> dt.timezone | None:
    found = _ZONE.fullmatch(text or "")
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    offset = dt.timedelta(hours=int(hours), minutes=int(minutes))
    offset = -offset if sign == "-" else offset
    return dt.timezone(offset) if _WEST <= offset <= _EAST else None
