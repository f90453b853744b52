"""Queries for studies, and their answers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gateway.vocabulary.terms import identifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.errors import UnreadableDocumentError
    from gateway.schemas.result import Status
    from gateway.search.entries import IndexEntry

DEFAULT_DAYS = 7
MOST_DAYS = 366
# A study arrives on the day it is made, or within a few; clocks and zones differ by less than one.
_DAYS_UNDERWAY = 7


def shifted(day: dt.date, days: int) -> dt.date:
    """Return the date so many days later, or the first or last date that there is."""
    ordinal = min(max(day.toordinal() + days, dt.date.min.toordinal()), dt.date.max.toordinal())
    return dt.date.fromordinal(ordinal)


@dataclass(frozen=True, slots=True)
class DateRange:
    """Days from the first to the last, both included."""

    first: dt.date
    last: dt.date

    def __contains__(self, day: object) -> bool:
        """Return True for a day of the range."""
        return isinstance(day, dt.date) and self.first <= day <= self.last

    @classmethod
    def asked(cls, first: dt.date | None, last: dt.date | None, today: dt.date) -> DateRange:
        """Return the days that are asked for where an end may be left out.

        Without the last day it goes up to today or, if that is later, to the first day; without
        the first it has `DEFAULT_DAYS`.
        """
        last = last or max(today, first or today)
        return cls(first or shifted(last, 1 - DEFAULT_DAYS), last)

    @property
    def days(self) -> int:
        """Return their number."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class StudyQuery:
    """Conditions that a study meets all of; of those with several values, one.

    Parameters
    ----------
    study_ids, study_instance_uids, patient_id, accession_number
        Identifiers, matched whole. With any of them the search needs no range.
    senders, routes, states, modalities, body_parts, positive
        Labels of callers, ways in, states, Modality (0008,0060) of any image, Body Part Examined
        (0018,0015) of any image, labels of positive findings.
    study_dates
        Range of Study Date (0008,0020).
    received
        Days (UTC) on which the study was received; None takes the last seven or, where there are
        study dates, these and the week after.
    judged
        True for studies with feedback, False for those without.
    accepts
        A further condition.
    """

    study_ids: tuple[str, ...] = ()
    study_instance_uids: tuple[str, ...] = ()
    patient_id: str | None = None
    accession_number: str | None = None
    senders: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    states: tuple[Status, ...] = ()
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    study_dates: DateRange | None = None
    received: DateRange | None = None
    judged: bool | None = None
    accepts: Callable[[IndexEntry], bool] | None = None

    def __post_init__(self) -> None:
        """Have the identifiers in the form in which they are stored; see `identifier`."""
        for name in ("patient_id", "accession_number"):
            text = getattr(self, name)
            if text is not None:
                object.__setattr__(self, name, identifier(text) or text)

    @property
    def is_keyed(self) -> bool:
        """Return True if it names a study, a patient or an order."""
        return bool(
            self.study_ids or self.study_instance_uids or self.patient_id or self.accession_number
        )

    def searched(self, today: dt.date) -> DateRange | None:
        """Return the days of receipt to search; None for all of them.

        Raises
        ------
        ValueError
            They are more than are searched at once.
        """
        if self.received is None and self.is_keyed:
            return None
        searched = self.received or self._usual(today)
        if searched.days > MOST_DAYS and not self.is_keyed:
            raise ValueError(f"must span at most {MOST_DAYS} days")
        return searched

    def _usual(self, today: dt.date) -> DateRange:
        if self.study_dates is None:
            return DateRange.asked(None, None, today)
        last = shifted(self.study_dates.last, _DAYS_UNDERWAY)
        return DateRange(shifted(self.study_dates.first, -1), min(last, today))

    def matches(self, entry: IndexEntry) -> bool:
        """Return True if a study meets all conditions but the range of receipt."""
        if self.study_dates is not None and entry.study_date not in self.study_dates:
            return False
        if self.judged is not None and self.judged is not bool(entry.feedback):
            return False
        one_of = (
            (self.study_ids, (entry.study_id,)),
            (self.study_instance_uids, (entry.study_instance_uid,)),
            ((self.patient_id,), (entry.patient_id,)),
            ((self.accession_number,), (entry.accession_number,)),
            (self.senders, entry.senders),
            (self.routes, entry.routes),
            (self.states, (entry.state,)),
            (self.modalities, entry.modalities),
            (self.body_parts, entry.body_parts),
            (self.positive, entry.positive),
        )
        for wanted, values in one_of:
            if any(wanted) and not set(wanted) & set(values):
                return False
        return self.accepts is None or self.accepts(entry)


@dataclass(frozen=True, slots=True)
class Position:
    """Place of a study in the order of answers: newest receipt first, then by study_id.

    Its text is opaque to callers and tells no more than the study's id.
    """

    received_at: dt.datetime
    study_id: str

    def __str__(self) -> str:
        return f"{self.received_at.astimezone(dt.UTC):%Y%m%dT%H%M%S%f}.{self.study_id}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position of this text.

        Raises
        ------
        ValueError
        """
        time, _, study_id = text.partition(".")
        at = dt.datetime.strptime(f"{time}+0000", "%Y%m%dT%H%M%S%f%z")
        if not study_id:
            raise ValueError
        return cls(at, study_id)

    def is_before(self, entry: IndexEntry) -> bool:
        """Return True if a study stands after this place."""
        return entry.place < (self.received_at, self.study_id)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of the studies that a query finds.

    Parameters
    ----------
    entries
        The studies, newest first.
    searched
        Days of receipt that were searched; None where all were.
    next
        Position to go on from; None on the last page.
    unreadable
        Studies that an identifier leads to and whose documents are damaged, each with its error.
    """

    entries: tuple[IndexEntry, ...]
    searched: DateRange | None = None
    next: Position | None = None
    unreadable: tuple[tuple[str, UnreadableDocumentError], ...] = ()


class StudySearch(Protocol):
    """Search for studies."""

    async def find(
        self, query: StudyQuery, *, limit: int, after: Position | None = None
    ) -> SearchPage:
        """Return a page of the studies that meet the query, newest receipt first.

        A change of a study shows within five seconds. By study_id it shows at once.

        Raises
        ------
        ValueError
            The range is longer than `MOST_DAYS`.
        StoreUnavailableError
        UnreadableDocumentError
            An object of the index is damaged: it is to be rebuilt.
        """
        ...
