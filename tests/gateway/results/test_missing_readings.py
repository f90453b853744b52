"""Readings that models owe, from their promise to their end."""

import datetime as dt

import pytest

from gateway.errors import InferenceUnavailableError, ParkedItemNotFoundError
from gateway.problems import problem_of
from gateway.results.documents import MissingReading, StudyRecord
from gateway.results.missing_readings import MissingReadingStates
from gateway.results.study_documents import StudyDocuments
from gateway.schemas.parked import ParkedItem
from gateway.work.documents import OwedReadings
from gateway.work.keys import WorkId
from gateway.work.states import Standing
from tests.support.readings import NOON
from tests.support.store import MemoryStore

WORK = WorkId.new("S1", NOON)
PROBLEM = problem_of(InferenceUnavailableError("away"))


@pytest.fixture
async def documents() -> StudyDocuments:
    documents = StudyDocuments(MemoryStore())
    owed = MissingReading(sha256="00", name="cxr", problem="model-failed", since=NOON, work=WORK.id)
    other = owed.model_copy(update={"name": "other", "work": None})
    await documents.change(
        "S1", lambda _: StudyRecord.begun("S1").changed(missing_readings=(owed, other))
    )
    return documents


def parked() -> ParkedItem:
    return ParkedItem(
        id="0" * 32, key="results/S1/readings/x", parked_at=dt.datetime.now(dt.UTC), problem=PROBLEM
    )


async def items(documents: StudyDocuments) -> list[MissingReading]:
    record = (await documents.read("S1")).record
    assert record is not None
    return list(record.missing_readings)


async def test_a_failure_and_its_retry_change_the_readings_of_the_work_alone(
    documents: StudyDocuments,
):
    states = MissingReadingStates(documents)
    assert await states.standing(WORK, tried=False) is Standing.PENDING
    await states.postponed(WORK, NOON, 1, PROBLEM)
    mine, other = await items(documents)
    assert (mine.problem, other.problem) == ("model-unavailable", "model-failed")
    await states.failed(WORK, OwedReadings(), parked())
    assert await states.standing(WORK, tried=True) is Standing.FAILED
    assert [item.failed for item in await items(documents)] == [True, False]
    await states.revived(WORK, NOON)
    assert await states.standing(WORK, tried=True) is Standing.PENDING
    await states.failed(WORK, None, parked())
    assert await states.discarded(WORK)
    assert [(item.work, item.failed) for item in await items(documents)] == [(None, False)] * 2
    assert await states.standing(WORK, tried=True) is Standing.DONE
    with pytest.raises(ParkedItemNotFoundError):
        await states.revived(WORK, NOON)


async def test_work_that_no_document_has_was_never_promised_or_is_done(documents: StudyDocuments):
    states = MissingReadingStates(documents)
    other = WorkId.new("S1", NOON)
    assert await states.standing(other, tried=False) is Standing.UNPROMISED
    assert await states.standing(other, tried=True) is Standing.DONE
    gone = WorkId.new("S2", NOON)
    assert await states.standing(gone, tried=True) is Standing.DELETED
