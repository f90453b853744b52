"""Keys of the index's objects."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.storage.layout import INDEX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.search.entries import IndexEntry
    from gateway.search.query import DateRange

KEY_KEY = f"{INDEX}key.json"
RECONCILED_KEY = f"{INDEX}reconciled.json"
POINTERS = f"{INDEX}by/"

PATIENT_ID = "patient-id"
ACCESSION_NUMBER = "accession-number"
STUDY_INSTANCE_UID = "study-instance-uid"

_ENTRIES = re.compile(r"(\d{4}-\d\d-\d\d)/(?:new-[0-9a-f]{16}|part-(\d{4,8}))\.jsonl\.gz")
_POINTER = re.compile(r"(\d{4}-\d\d-\d\d)\.([^/]+)\.json")
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Pointer:
    """A study that a pointer leads to, and the day it was received on."""

    day: dt.date
    study_id: str


@dataclass(frozen=True, slots=True)
class Place:
    """Place of an object with entries: its day, and its number where it is a merged one."""

    day: dt.date
    part: int | None


def day_folder(day: dt.date) -> str:
    """Return what the keys of a day's objects begin with."""
    return f"{INDEX}{day.isoformat()}/"


def part_key(day: dt.date, number: int) -> str:
    """Return the key of a part of a day's merged entries, which are counted from 0."""
    return f"{day_folder(day)}part-{number:04}.jsonl.gz"


def new_key(day: dt.date, data: bytes) -> str:
    """Return the key of new entries of a day, named by what the object holds."""
    return f"{day_folder(day)}new-{hashlib.sha256(data).hexdigest()[:16]}.jsonl.gz"


def place_of(key: str) -> Place | None:
    """Return where in the index an object with entries stands; None for any other object."""
    found = _ENTRIES.fullmatch(key.removeprefix(INDEX))
    try:
        day = dt.date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
    if found is None or day is None:
        return None
    return Place(day, None if found[2] is None else int(found[2]))


def prefixes(days: DateRange | None) -> Iterator[str]:
    """Yield prefixes under which the objects of all these days stand: one for each month.

    None asks for all days there are.
    """
    if days is None:  # by millennium: a clock may have been unset
        yield from (f"{INDEX}1", f"{INDEX}2")
        return
    for month in range(_months(days.first), _months(days.last) + 1):
        yield f"{INDEX}{month // 12:04}-{month % 12 + 1:02}-"


def _months(day: dt.date) -> int:
    return day.year * 12 + day.month - 1


def pointer_folder(secret: bytes, kind: str, value: str) -> str:
    """Return what the keys of the pointers from a value begin with.

    The value may be a patient's: only a hash of it stands there, with a key of the store's own, so
    that who sees keys alone, as in the logs of a bucket, cannot try values.
    """
    digest = hmac.new(secret, f"{kind} {value}".encode(), hashlib.sha256).hexdigest()
    return f"{POINTERS}{kind}/{digest[:_DIGITS]}/"


def pointer_keys(secret: bytes, entry: IndexEntry) -> Iterator[str]:
    """Yield the keys of all pointers to a study."""
    values = {PATIENT_ID: entry.patient_id, ACCESSION_NUMBER: entry.accession_number}
    if entry.study_instance_uid != entry.study_id:
        values[STUDY_INSTANCE_UID] = entry.study_instance_uid
    for kind, value in values.items():
        if value:
            folder = pointer_folder(secret, kind, value)
            yield f"{folder}{entry.day.isoformat()}.{entry.study_id}.json"


def pointer_of(key: str) -> Pointer | None:
    """Return where a pointer leads to; None for a key that is none."""
    found = _POINTER.fullmatch(key.rpartition("/")[2])
    try:
        return Pointer(dt.date.fromisoformat(found[1]), found[2]) if found else None
    except ValueError:
        return None
