"""The change by which a request joins the record of its study."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import StudyConflictError
from gateway.results.completion import missing_of
from gateway.results.documents import StudyRecord
from gateway.results.joins import OnPages, Request, UnreadPagesError, joining, key_of
from gateway.results.pages import write_page
from gateway.results.view import study_result
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.problem import Problem
from tests.support.readings import NOON, frame, reading
from tests.support.store import MemoryStore

PROBLEM = Problem(type="urn:radstream:problem:x", title="Damaged", status=422, detail="Mend it.")


def request(*fresh: Any, **fields: Any) -> Request:
    document = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"} | fields
    return Request(StudyMetadata.model_validate(document), NOON, fresh, {"image[0]": fresh[0]})


def joined(record: StudyRecord | None, request: Request) -> StudyRecord:
    return joining(request, OnPages())(record)


def test_images_are_numbered_by_their_frames_in_the_order_they_come():
    record = joined(None, request(reading(7, frame(), frame()), reading(8)))
    assert [item.number for item in record.readings] == [1, 3]
    assert record.images == 3


def test_a_reading_that_is_there_joins_once_and_another_models_under_its_number():
    record = joined(None, request(reading(1)))
    other = reading(1, model={"name": "other", "version": "1"})
    again = joined(record, request(reading(1), other))
    assert [(item.model.name, item.number) for item in again.readings] == [("cxr", 1), ("other", 1)]
    assert again.images == 1


def test_nothing_new_leaves_the_record_as_it_is():
    record = joined(None, request(reading(1)))
    assert joined(record, request(reading(1))) is record


def test_a_contradiction_is_refused():
    record = joined(None, request(reading(1), patient_id="P1"))
    with pytest.raises(StudyConflictError):
        joined(record, request(reading(2), patient_id="P2"))


def test_an_image_that_was_left_out_of_the_list_is_listed_again_or_settled_by_its_bytes():
    record = StudyRecord.begun("S1").changed(open_images_left_out=("aaaaaaaa", "bbbbbbbb"))
    again = NotProcessedDocument(
        part="image[1]", sha256="a" * 64, problem=PROBLEM, received_at=NOON, beside=("c" * 64,)
    )
    listed = joined(record, replace(request(reading(1)), entries=(again,)))
    assert (listed.open_images, listed.open_images_left_out) == ((again,), ("bbbbbbbb",))
    # Sent alone, it may be meant for the one that is not listed.
    alone = replace(request(reading(2, received_at=NOON + dt.timedelta(minutes=1))), alone=True)
    assert joined(listed, alone).open_images == (again,)
    mended = joined(listed, request(reading(3, sha256="b" * 64)))
    assert (mended.open_images, mended.open_images_left_out) == ((again,), ())
    only = StudyRecord.begun("S1").changed(open_images_left_out=("bbbbbbbb",))
    assert request(reading(1)).changes(only)
    assert (missing_of(record), study_result(record).not_processed_left_out) == ((0, ()), 2)


async def test_pages_that_may_have_an_image_are_asked_for_first():
    first = reading(1)
    page = await write_page(MemoryStore(), StudyRecord.begun("S1"), [first])
    record = StudyRecord.begun("S1").changed(images=1, pages=(page,))
    with pytest.raises(UnreadPagesError) as unread:
        joined(record, request(first))
    assert unread.value.pages == [page]
    known = OnPages({page.name}, {key_of(first): first}, {first.sha256: 1})
    assert joining(request(first), known)(record).readings == ()
