"""Keys of work that is to be done.

``work/{kind}/{due}/{id}.{study_id}``
    The entry of a piece of work: a `WorkDocument`. The time of its next attempt, to the second,
    stands first, so that a listing of the kind has what is due at its beginning.
``work/deliveries/{destination}/{due}/{id}.{study_id}``
    The same for a result that is brought to a destination: each is a kind of its own.
``results/{study_id}/{kind}/{id}/``
    Objects that the work needs, such as images; `job.json` is that of work that failed for good.

An id begins with the time, to the microsecond, at which the work came. Where the work does not wait
in the routine lane, the name of its own follows, so that a listing tells it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass
from functools import cached_property

from gateway.schemas.routing_rules import Lane
from gateway.storage.layout import (
    CALLBACKS,
    DELIVERIES,
    READINGS,
    RESULTS,
    SUBMISSIONS,
    WITHDRAWALS,
    WORK,
    folder_of,
)

_SECOND = "%Y%m%dT%H%M%SZ"
_MICROSECOND = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True)
class WorkId:
    """The name of a piece of work.

    Parameters
    ----------
    study_id
        Of the study that it is for.
    id
        Its own.
    """

    study_id: str
    id: str

    @classmethod
    def new(cls, study_id: str, received_at: dt.datetime, lane: Lane = Lane.ROUTINE) -> WorkId:
        """Return a name that nothing has."""
        mark = "" if lane is Lane.ROUTINE else f"{lane}-"
        return cls(study_id, f"{received_at:{_MICROSECOND}}-{mark}{secrets.token_hex(6)}")

    @classmethod
    def derived(cls, study_id: str, received_at: dt.datetime, *parts: str) -> WorkId:
        """Return the name that work of these parts, at this time, always has."""
        digits = hashlib.sha256("\0".join((study_id, *parts)).encode()).hexdigest()[:12]
        return cls(study_id, f"{received_at:{_MICROSECOND}}-{digits}")

    @cached_property
    def received_at(self) -> dt.datetime:
        """Return the time at which the work came."""
        return received_at(self.id)

    @property
    def lane(self) -> Lane:
        """Return the lane in which the work waits."""
        name = self.id.partition("-")[2].rpartition("-")[0]
        return Lane(name) if name in set(Lane) else Lane.ROUTINE


def received_at(work_id: str) -> dt.datetime:
    """Return the time that an id begins with.

    Raises
    ------
    ValueError
        It begins with none.
    """
    moment = dt.datetime.strptime(work_id.partition("-")[0], _MICROSECOND)  # noqa: DTZ007 - its Z
    return moment.replace(tzinfo=dt.UTC)


def to_the_second(moment: dt.datetime) -> dt.datetime:
    """Return a time as keys have it."""
    return moment.replace(microsecond=0)


def entry_key(kind: str, work: WorkId, due: dt.datetime) -> str:
    """Return the key of an entry.

    Parameters
    ----------
    kind
        Prefix of the work's kind.
    due
        Time of its next attempt, in UTC.
    """
    return f"{kind}{due:{_SECOND}}/{work.id}.{work.study_id}"


def of_entry(kind: str, key: str) -> tuple[WorkId, dt.datetime] | None:
    """Return the work that an entry is of, and when it is due; None for any other key."""
    folder, _, name = key.removeprefix(kind).rpartition("/")
    due = folder.rpartition("/")[2]  # of a kind that has kinds below it
    work_id, _, study_id = name.partition(".")
    try:
        received_at(work_id)
        moment = dt.datetime.strptime(due, _SECOND)  # noqa: DTZ007 - its Z
    except ValueError:
        return None
    return (WorkId(study_id, work_id), moment.replace(tzinfo=dt.UTC)) if study_id else None


def kept_folder(kind: str, work: WorkId) -> str:
    """Return what the keys of all that a piece of work needs begin with."""
    return f"{kept_folders(kind, work.study_id)}{work.id}/"


def kept_folders(kind: str, study_id: str) -> str:
    """Return what the keys of all that a study's work of a kind needs begin with."""
    return f"{folder_of(study_id)}{kind.removeprefix(WORK)}"


def parked_key(kind: str, work: WorkId) -> str:
    """Return the key that the parked item of a piece of work has."""
    return kept_folder(kind, work).removesuffix("/")


def of_parked(kind: str, key: str) -> WorkId | None:
    """Return the work that a parked item's key is of; None where it is none of this kind."""
    study_id = _study_of(key)
    folder = kept_folders(kind, study_id)
    found = key.startswith(folder) and key != folder
    return WorkId(study_id, key.removeprefix(folder)) if found else None


def _study_of(key: str) -> str:
    root = WITHDRAWALS if key.startswith(WITHDRAWALS) else RESULTS
    return key.removeprefix(root).partition("/")[0]


KINDS = (SUBMISSIONS, CALLBACKS, DELIVERIES, READINGS)
"""Prefixes of the kinds of work."""


def delivery_kind(destination: str) -> str:
    """Return the prefix of the work that brings results to a destination, a kind of its own."""
    return f"{DELIVERIES}{destination}/"


def destination_of(key: str) -> str | None:
    """Return the destination that a parked item's key is of; None where it is of no delivery."""
    folder = kept_folders(DELIVERIES, _study_of(key))
    destination, found, _ = key.removeprefix(folder).partition("/")
    return destination if key.startswith(folder) and found else None
