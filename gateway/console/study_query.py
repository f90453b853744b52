"""The search for studies, as a person asks for it in one field and a few filters."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gateway.errors import Fault, InvalidQueryError
from gateway.runtime.concurrency import together
from gateway.schemas.result import Status
from gateway.search.query import MOST_DAYS, DateRange, Position, StudyQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.search.entries import IndexEntry
    from gateway.search.query import StudySearch

PAGE = 50
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class AskedStudies:
    """Search of a person; None and empty ask for nothing.

    Parameters
    ----------
    identifier
        study_id, accession number, patient's id or Study Instance UID.
    sender, label, state
        Name of the sender, label of a positive finding, state.
    made
        Study Date (0008,0020).
    first, last
        Days (UTC) of receipt.
    cursor
        Place to go on from.
    """

    identifier: str = ""
    sender: str = ""
    label: str = ""
    state: Status | None = None
    made: dt.date | None = None
    first: dt.date | None = None
    last: dt.date | None = None
    cursor: Position | None = None

    @property
    def is_any(self) -> bool:
        """Return True if all studies of the last days are asked for."""
        return self == AskedStudies(cursor=self.cursor)

    def query(self, today: dt.date) -> StudyQuery:
        """Return the conditions, but for the identifier."""
        return StudyQuery(
            senders=(self.sender,) if self.sender else (),
            positive=(self.label,) if self.label else (),
            states=(self.state,) if self.state else (),
            study_dates=None if self.made is None else DateRange(self.made, self.made),
            received=self._received(today),
        )

    def link(self, cursor: Position, searched: DateRange | None) -> str:
        """Return the query of the next page, which looks at the same days."""
        first = searched.first if searched else self.first
        last = searched.last if searched else self.last
        values = {
            "q": self.identifier,
            "sender": self.sender,
            "label": self.label,
            "state": self.state or "",
            "made": self.made or "",
            "from": first or "",
            "to": last or "",
            "cursor": cursor,
        }
        return urlencode({name: str(value) for name, value in values.items() if value})

    def _received(self, today: dt.date) -> DateRange | None:
        if self.first is None and self.last is None:
            return None
        days = DateRange.asked(self.first, self.last, today)
        if not 1 <= days.days <= MOST_DAYS:
            raise InvalidQueryError((Fault("query/from", f"must span 1 to {MOST_DAYS} days"),))
        return days


def asked_studies(parameters: Mapping[str, str]) -> AskedStudies:
    """Return what the fields of the search ask for.

    Raises
    ------
    InvalidQueryError
    """
    fields = {name: value.strip()[:_LONGEST] for name, value in parameters.items()}
    faulty = "state"
    try:
        state = Status(fields["state"]) if fields.get("state") else None
        faulty = "made"
        made = dt.date.fromisoformat(fields["made"]) if fields.get("made") else None
        faulty = "from"
        first = dt.date.fromisoformat(fields["from"]) if fields.get("from") else None
        faulty = "to"
        last = dt.date.fromisoformat(fields["to"]) if fields.get("to") else None
        faulty = "cursor"
        cursor = parameters.get("cursor")
        position = Position.parse(cursor[:128]) if cursor else None
    except ValueError as error:
        raise InvalidQueryError((Fault(f"query/{faulty}", "is not valid"),)) from error
    return AskedStudies(
        identifier=fields.get("q", ""),
        sender=fields.get("sender", ""),
        label=fields.get("label", ""),
        state=state,
        made=made,
        first=first,
        last=last,
        cursor=position,
    )


@dataclass(frozen=True, slots=True)
class FoundStudies:
    """A page of studies.

    Parameters
    ----------
    entries
        The studies, newest first.
    unreadable
        study_ids of those whose documents are damaged.
    following
        Query of the next page; None on the last one.
    searched
        Days of receipt that were looked at; None where all were.
    """

    entries: tuple[IndexEntry, ...]
    unreadable: tuple[str, ...]
    following: str | None
    searched: DateRange | None


async def find_studies(search: StudySearch, asked: AskedStudies) -> FoundStudies:
    """Return a page of the studies that are asked for.

    An identifier may be of a study, an order, a patient or a DICOM study: each is looked up.

    Raises
    ------
    InvalidQueryError, StoreUnavailableError, UnreadableDocumentError
    """
    query = asked.query(dt.datetime.now(dt.UTC).date())
    if not asked.identifier:
        page = await search.find(query, limit=PAGE, after=asked.cursor)
        following = asked.link(page.next, page.searched) if page.next else None
        unreadable = tuple(study_id for study_id, _ in page.unreadable)
        return FoundStudies(page.entries, unreadable, following, page.searched)
    key = asked.identifier
    ways = (
        replace(query, study_ids=(key,)),
        replace(query, accession_number=key),
        replace(query, patient_id=key),
        replace(query, study_instance_uids=(key,)),
    )
    # One more than is shown says that there are more.
    pages = await together(search.find(way, limit=PAGE + 1, after=asked.cursor) for way in ways)
    found = {entry.study_id: entry for page in pages for entry in page.entries}
    entries = sorted(found.values(), key=lambda entry: entry.place, reverse=True)
    following = None
    if len(entries) > PAGE:
        last = entries[PAGE - 1]
        following = asked.link(Position(last.received_at, last.study_id), query.received)
    damaged = dict.fromkeys(study_id for page in pages for study_id, _ in page.unreadable)
    return FoundStudies(tuple(entries[:PAGE]), tuple(damaged), following, query.received)
