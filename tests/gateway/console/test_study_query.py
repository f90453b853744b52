"""What a person asks for becomes a query, and one field finds by any identifier."""

import datetime as dt
import secrets

import pytest

from gateway.console.study_query import PAGE, AskedStudies, asked_studies, find_studies
from gateway.errors import InvalidQueryError
from gateway.schemas.result import Status
from gateway.search.entries import IndexEntry
from gateway.search.query import DateRange, Position, SearchPage, StudyQuery

TODAY = dt.date(2026, 3, 31)
NOW = dt.datetime(2026, 3, 31, 8, 15, tzinfo=dt.UTC)


def entry(study_id: str, minutes: int = 0, **attributes: str) -> IndexEntry:
    at = NOW - dt.timedelta(minutes=minutes)
    return IndexEntry.model_validate(
        {
            "study_id": study_id,
            "received_at": at,
            "changed_at": at,
            "state": Status.COMPLETED,
            **attributes,
        }
    )


class ListedStudies:
    """A search over a list, with the rules of the query itself."""

    def __init__(self, *entries: IndexEntry) -> None:
        self._entries = entries

    async def find(
        self, query: StudyQuery, *, limit: int, after: Position | None = None
    ) -> SearchPage:
        found = [
            each
            for each in sorted(self._entries, key=lambda each: each.place, reverse=True)
            if query.matches(each) and (after is None or after.is_before(each))
        ]
        last = found[limit - 1] if len(found) > limit else None
        following = Position(last.received_at, last.study_id) if last else None
        return SearchPage(tuple(found[:limit]), query.received, following)


def test_empty_fields_ask_for_nothing():
    asked = asked_studies({"q": " ", "sender": "", "state": "", "from": "", "to": "", "label": ""})
    assert asked == AskedStudies()
    assert asked.is_any


def test_fields_become_conditions():
    asked = asked_studies(
        {"state": "failed", "label": "pneumonia", "sender": "ward", "from": "2026-03-01"}
    )
    query = asked.query(TODAY)
    assert query.states == (Status.FAILED,)
    assert query.positive == ("pneumonia",)
    assert query.senders == ("ward",)
    assert query.received == DateRange(dt.date(2026, 3, 1), TODAY)
    assert not asked.is_any


def test_days_before_the_first_date_there_is_are_none():
    query = asked_studies({"to": "0001-01-03"}).query(TODAY)
    assert query.received == DateRange(dt.date(1, 1, 1), dt.date(1, 1, 3))


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "lost"},
        {"from": "yesterday"},
        {"to": "31.1.2026"},
        {"cursor": "x"},
        {"from": "2026-03-31", "to": "2026-03-01"},
        {"from": "1999-01-01", "to": "2026-03-01"},
    ],
)
def test_fields_that_say_nothing_intelligible_are_refused(fields: dict[str, str]):
    with pytest.raises(InvalidQueryError):
        asked_studies(fields).query(TODAY)


@pytest.mark.parametrize(
    "name", ["study_id", "accession_number", "patient_id", "study_instance_uid"]
)
async def test_one_field_finds_by_any_identifier(name: str):
    key = "1.2.3"
    wanted = entry(**({"study_id": "S-1"} | {name: key}))
    search = ListedStudies(wanted, entry("S-2"))
    found = await find_studies(search, AskedStudies(identifier=key))
    assert found.entries == (wanted,)
    assert found.following is None


async def test_a_study_found_in_two_ways_is_listed_once():
    search = ListedStudies(entry("A-1", patient_id="A-1"))
    found = await find_studies(search, AskedStudies(identifier="A-1"))
    assert [each.study_id for each in found.entries] == ["A-1"]


@pytest.mark.parametrize("identifier", ["", "P-7"])
async def test_pages_follow_one_another_without_gap_or_repetition(identifier: str):
    entries = [
        entry(secrets.token_hex(4), number, patient_id="P-7") for number in range(2 * PAGE + 3)
    ]
    search = ListedStudies(*entries)
    seen: list[str] = []
    asked = AskedStudies(identifier=identifier)
    for _ in range(3):
        found = await find_studies(search, asked)
        seen += [each.study_id for each in found.entries]
        if found.following is None:
            break
        pairs = dict(pair.split("=") for pair in found.following.split("&"))
        asked = asked_studies(pairs)
        assert asked.identifier == identifier
    assert seen == [each.study_id for each in entries]
