"""Answers of the search: the studies, their order, the range, and the requests it takes."""

import datetime as dt

from gateway.results.documents import PendingImages, StudyRecord
from gateway.schemas.result import Status
from gateway.search.query import DateRange
from tests.support.search import IndexingGateway

NOW = dt.datetime.now(dt.UTC)
TODAY = NOW.date()


def ago(**time: float) -> dt.datetime:
    return NOW - dt.timedelta(**time)


async def test_studies_of_the_last_seven_days_are_found_newest_first(gateway: IndexingGateway):
    for days in (0, 1, 6, 7):
        await gateway.receive(f"S{days}", ago(days=days))
    await gateway.write()
    page = await gateway.page()
    assert [entry.study_id for entry in page.entries] == ["S0", "S1", "S6"]
    assert page.searched == DateRange(TODAY - dt.timedelta(days=6), TODAY)
    assert page.next is None


async def test_study_is_found_while_it_is_pending_and_no_more_once_it_is_discarded(
    gateway: IndexingGateway,
):
    begun = StudyRecord.begun("S1").changed(
        received_at=NOW, pending=(PendingImages(id="1", images=1),), identity={"patient_id": "P1"}
    )
    await gateway.documents.change("S1", lambda record: record or begun)
    await gateway.write()
    assert await gateway.found(states=(Status.PENDING,)) == ["S1"]
    assert await gateway.found(patient_id="P1") == ["S1"]
    await gateway.documents.change("S1", lambda record: (record or begun).changed(pending=()))
    for _ in range(2):
        await gateway.write()
    assert await gateway.found() == await gateway.found(patient_id="P1") == []
