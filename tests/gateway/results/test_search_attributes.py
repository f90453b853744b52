"""Attributes by which a study is searched, from its readings and its pages."""

import datetime as dt
from typing import Any

import pytest

from gateway.results.documents import StudyRecord
from gateway.results.pages import write_page
from gateway.results.search_attributes import search_attributes, study_attributes
from tests.support.readings import reading
from tests.support.store import MemoryStore


def of(number: int, **metadata: Any) -> Any:
    return reading(number, series_instance_uid=f"1.{number}", sender="pacs", metadata=metadata)


def test_values_stand_once_in_the_order_they_came():
    found = search_attributes([of(1, modality="DX"), of(2, modality="CR"), of(3, modality="DX")])
    assert found.modalities == ("DX", "CR")
    assert found.senders == ("pacs",)
    assert found.series == {"1.1": 1, "1.2": 1, "1.3": 1}


@pytest.mark.parametrize(
    ("metadata", "date", "time"),
    [
        ({}, None, None),
        ({"study_date": "no date"}, None, None),
        ({"study_date": "2026-01-31"}, dt.date(2026, 1, 31), None),
        (
            {"study_date": "2026-01-31", "timestamp": "2026-01-31T08:15:00+00:00"},
            dt.date(2026, 1, 31),
            dt.time(8, 15, tzinfo=dt.UTC),
        ),
        (
            {"study_date": "2026-01-31", "timestamp": "2026-02-01T08:15:00+00:00"},
            dt.date(2026, 1, 31),
            None,
        ),
    ],
)
def test_the_studys_moment_is_the_metadatas(
    metadata: dict[str, str], date: dt.date | None, time: dt.time | None
):
    found = search_attributes([of(1, **metadata)])
    assert (found.study_date, found.study_time) == (date, time)


def test_an_image_counts_once_in_its_series_whichever_models_read_it():
    again = of(1).model_copy(update={"model": of(1).model.model_copy(update={"version": "2"})})
    assert search_attributes([of(1), again]).series == {"1.1": 1}


async def test_pages_count_with_what_joined_after_them():
    record = StudyRecord.begun("S1")
    page = await write_page(MemoryStore(), record, [of(1, modality="DX")])
    whole = record.changed(pages=(page,), images=2, readings=(of(2, modality="CR"),))
    found = study_attributes(whole)
    assert found.modalities == ("DX", "CR")
    assert found.series == {"1.1": 1, "1.2": 1}
