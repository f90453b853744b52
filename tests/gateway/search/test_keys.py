"""Keys of the index: their parts come back, and no value of a patient stands in them."""

import datetime as dt

import pytest

from gateway.search.keys import (
    PATIENT_ID,
    Place,
    Pointer,
    day_folder,
    new_key,
    part_key,
    place_of,
    pointer_folder,
    pointer_of,
    prefixes,
)
from gateway.search.query import DateRange

DAY = dt.date(2026, 1, 31)


def test_objects_with_entries_are_known_by_their_day():
    assert place_of(part_key(DAY, 7)) == Place(DAY, 7)
    assert place_of(new_key(DAY, b"entries")) == Place(DAY, None)
    assert new_key(DAY, b"entries") != new_key(DAY, b"others")


@pytest.mark.parametrize("name", ["x", "2026-13-01/part-0001.jsonl.gz", "2026-01-31/part-1.gz"])
def test_other_objects_have_no_place(name: str):
    assert place_of(f"index/{name}") is None


def test_days_are_listed_by_month():
    days = DateRange(dt.date(2025, 12, 30), dt.date(2026, 2, 1))
    assert list(prefixes(days)) == ["index/2025-12-", "index/2026-01-", "index/2026-02-"]
    assert any(day_folder(DAY).startswith(prefix) for prefix in prefixes(None))


def test_months_at_the_end_of_the_calendar_are_listed():
    assert list(prefixes(DateRange(dt.date(9999, 11, 1), dt.date.max))) == [
        "index/9999-11-",
        "index/9999-12-",
    ]
    assert list(prefixes(DateRange(dt.date.min, dt.date(1, 1, 8)))) == ["index/0001-01-"]


def test_pointers_tell_their_value_to_nobody_without_the_key():
    folder = pointer_folder(b"secret", PATIENT_ID, "P-4711")
    assert "4711" not in folder
    assert folder != pointer_folder(b"another", PATIENT_ID, "P-4711")
    assert pointer_of(f"{folder}2026-01-31.1.2.840.json") == Pointer(DAY, "1.2.840")
    assert pointer_of(f"{folder}2026-02-31.S1.json") is None
