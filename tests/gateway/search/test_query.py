"""Conditions of a query, its range of days, and the positions between its pages."""

import datetime as dt
from typing import Any

import pytest

from gateway.schemas.result import Status
from gateway.search.query import DateRange, Position, StudyQuery
from tests.support.search import IndexingGateway

NOW = dt.datetime.now(dt.UTC)
TODAY = NOW.date()


def ago(**time: float) -> dt.datetime:
    return NOW - dt.timedelta(**time)


@pytest.mark.parametrize(
    ("made", "searched"),
    [
        (dt.date.min, (dt.date.min, dt.date(1, 1, 8))),
        (dt.date.max, (dt.date(9999, 12, 30), TODAY)),
    ],
)
def test_days_around_the_first_and_the_last_date_there_is(made: dt.date, searched: tuple):
    days = StudyQuery(study_dates=DateRange(made, made)).searched(TODAY)
    assert days is not None
    assert (days.first, days.last) == searched


async def test_other_range_is_searched_where_it_is_asked_for(gateway: IndexingGateway):
    for days in (5, 40, 41):
        await gateway.receive(f"S{days}", ago(days=days))
    await gateway.write()
    asked = DateRange(TODAY - dt.timedelta(days=40), TODAY - dt.timedelta(days=6))
    assert await gateway.found(received=asked) == ["S40"]
    too_long = DateRange(TODAY - dt.timedelta(days=366), TODAY)
    with pytest.raises(ValueError, match="366"):
        await gateway.page(received=too_long)


@pytest.mark.parametrize(
    "query",
    [
        {"study_ids": ("S1",)},
        {"study_instance_uids": ("1.2.3", "1.2.4")},
        {"patient_id": "P1"},
        {"accession_number": "A1"},
        {"senders": ("pacs",)},
        {"routes": ("stow", "dimse")},
        {"states": (Status.COMPLETED,), "modalities": ("CR", "DX")},
        {"body_parts": ("CHEST",)},
        {"positive": ("bright",)},
        {"study_dates": DateRange(TODAY, TODAY)},
        {"accepts": lambda entry: entry.study_id == "S1"},
    ],
    ids="-".join,
)
async def test_each_condition_finds_the_study_that_meets_it(
    gateway: IndexingGateway, query: dict[str, Any]
):
    await gateway.receive(
        "S1",
        ago(seconds=1),
        positive=True,
        reading={
            "study_instance_uid": "1.2.3",
            "series_instance_uid": "1.2.3.1",
            "sender": "pacs",
            "route": "dimse",
        },
        patient_id="P1",
        accession_number="A1",
        modality="DX",
        body_part="CHEST",
        study_date=TODAY.isoformat(),
    )
    await gateway.receive("S2", patient_id="P2", accession_number="A2", modality="CT")
    await gateway.write()
    assert await gateway.found() == ["S2", "S1"]
    assert await gateway.found(**query) == ["S1"]
    [entry] = (await gateway.page(**query)).entries
    assert entry.series == {"1.2.3.1": 1}


@pytest.mark.parametrize("name", ["patient_id", "accession_number"])
@pytest.mark.parametrize("asked", ["M\u00fcller", "Mu\u0308ller", " M\u00fcller "])
async def test_an_identifier_is_found_however_its_letters_are_composed_and_padded(
    gateway: IndexingGateway, name: str, asked: str
):
    await gateway.receive("S1", **{name: "M\u00fcller"})
    await gateway.receive("S2", **{name: "Muller"})
    await gateway.write()
    assert await gateway.found(**{name: asked}) == ["S1"]


def test_an_identifier_of_spaces_alone_is_no_search_without_one():
    assert StudyQuery(patient_id="  ").patient_id == "  "


async def test_pages_follow_one_another_without_a_gap(gateway: IndexingGateway):
    for number in range(7):
        await gateway.receive(f"S{number}", ago(hours=12 * (number // 2)), patient_id="P1")
    await gateway.write()
    for query in (StudyQuery(), StudyQuery(patient_id="P1")):
        found: list[str] = []
        after: Position | None = None
        for _ in range(4):
            page = await gateway.index.search.find(query, limit=2, after=after)
            found += [entry.study_id for entry in page.entries]
            after = page.next and Position.parse(str(page.next))
        assert found == ["S1", "S0", "S3", "S2", "S5", "S4", "S6"]
        assert after is None
