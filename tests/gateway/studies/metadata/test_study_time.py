"""When a study was made, and what had to be assumed of it."""

import dataclasses
import datetime as dt

import pytest

from gateway.studies.metadata.study_time import study_date, study_moment
from preprocess import read_metadata
from tests.support.dicom import file_of, radiograph

RECEIVED_AT = dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
HEADER = read_metadata(file_of(radiograph()))


def moment(date: str | None, time: str | None, zone: str | None) -> tuple[str, list[str]]:
    """The moment, and the attributes that something had to be assumed of."""
    header = dataclasses.replace(
        HEADER, study_date=date, study_time=time, timezone_offset_from_utc=zone
    )
    at, assumed = study_moment(header, RECEIVED_AT)
    return at.isoformat(), [clause.partition(" (")[0] for clause in assumed]


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("07", "07:00:00"),
        ("0715", "07:15:00"),
        ("071530", "07:15:30"),
        ("071530.25", "07:15:30"),
        ("071530.1234567", "07:15:30"),
        ("071530.", "07:15:30"),
        ("07:15:30", "07:15:30"),
        ("235960", "23:59:59"),
    ],
)
def test_a_time_may_stop_early(time: str, read: str):
    assert moment("20260131", time, "-0500") == (f"2026-01-31T{read}-05:00", [])


@pytest.mark.parametrize("time", [None, "240000", "7", "07155", "noon", "07 15", "-10000", "0761"])
def test_midnight_is_never_used_in_silence(time: str | None):
    assert moment("20260131", time, "+0000") == ("2026-01-31T00:00:00+00:00", ["Study Time"])


@pytest.mark.parametrize(
    ("zone", "read"),
    [
        ("+0100", "+01:00"),
        ("+01:00", "+01:00"),
        ("-0330", "-03:30"),
        ("+1400", "+14:00"),
        ("-1200", "-12:00"),
        ("-0000", "+00:00"),
    ],
)
def test_a_zone_may_have_a_colon(zone: str, read: str):
    assert moment("20260131", "0815", zone) == (f"2026-01-31T08:15:00{read}", [])


@pytest.mark.parametrize("zone", [None, "CET", "0100", "+01", "+1500", "-1230", "+0160", "+2500"])
def test_utc_is_never_used_in_silence(zone: str | None):
    assert moment("20260131", "0815", zone) == (
        "2026-01-31T08:15:00+00:00",
        ["Timezone Offset From UTC"],
    )


def test_an_absent_and_a_malformed_value_are_told_apart():
    header = dataclasses.replace(HEADER, study_date="20260131", timezone_offset_from_utc="CET")
    assert study_moment(header, RECEIVED_AT)[1] == (
        "Study Time (0008,0030) is absent: midnight is used",
        "Timezone Offset From UTC (0008,0201) is malformed: the study's time is taken as UTC",
    )


@pytest.mark.parametrize("date", [None, "20261399", "yesterday", "2026131", "20260230"])
def test_the_time_of_receipt_stands_in_for_a_date(date: str | None):
    assert moment(date, "0815", "+0100") == (RECEIVED_AT.isoformat(), ["Study Date"])


@pytest.mark.parametrize("text", ["20260131", "2026.01.31", "2026-01-31"])
def test_a_date_may_be_divided(text: str):
    assert study_date(text) == dt.date(2026, 1, 31)
