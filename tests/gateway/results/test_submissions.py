"""Submissions in their study's document: pending, postponed, failed, tried again, discarded."""

import datetime as dt
from typing import Any

import pytest

from gateway.errors import (
    DeliveryUnfinishedError,
    ParkedItemNotFoundError,
    RadStreamError,
    StudyBacklogFullError,
    StudyBeingDeletedError,
    StudyConflictError,
    UnknownModelError,
)
from gateway.problems import problem_of
from gateway.results.documents import PendingImages, StudyRecord
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.submissions import (
    MOST_SUBMISSIONS,
    StudySubmissions,
    with_submissions,
    without,
)
from gateway.results.tombstone import Closing, Reason
from gateway.results.view import study_result
from gateway.schemas.result import Status, StudyResult
from gateway.storage.layout import SUBMISSIONS
from gateway.work.keys import WorkId, parked_key
from gateway.work.parked import Parking
from gateway.work.states import Standing
from tests.support.store import MemoryStore
from tests.support.work import JOB, metadata

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
LATER = NOON + dt.timedelta(minutes=5)


class Study:
    """A study's submissions, as one gateway has them."""

    def __init__(self, objects: MemoryStore) -> None:
        self.documents = StudyDocuments(objects)
        self.states = StudySubmissions(self.documents)
        self.parking = Parking(objects, problem_of)

    async def promise(self, *, images: int = 1, **identity: Any) -> WorkId:
        work = WorkId.new("S1", NOON)
        await self.states.promise(work, metadata("S1", **identity), images, Seen())
        return work

    async def fail(self, work: WorkId, error: RadStreamError | None = None) -> str:
        """Return the id of the parked item."""
        error = error or UnknownModelError("m", ())
        item = await self.parking.park_work(parked_key(SUBMISSIONS, work), error)
        await self.states.failed(work, JOB.model_copy(update={"attempts": 3}), item)
        return item.id

    async def record(self) -> StudyRecord:
        record = (await self.documents.read("S1")).open_record()
        assert record is not None
        return record

    async def view(self) -> StudyResult:
        record = await self.record()
        return with_submissions(study_result(record), record)

    async def close(self) -> None:
        closing = Closing(study_id="S1", requested_at=NOON, reason=Reason.REQUEST)
        await self.documents.close(closing, lambda closing, _: closing)


@pytest.fixture
def study() -> Study:
    return Study(MemoryStore())


async def test_promise_begins_a_study_that_is_pending_since_it_came(study: Study):
    await study.promise(images=2, patient_id="P1")
    [pending] = (await study.view()).pending or ()
    assert (pending.images, pending.attempts, pending.received_at) == (2, 0, NOON)
    record = await study.record()
    assert (record.received_at, record.identity) == (NOON, {"patient_id": "P1"})


async def test_promise_that_is_made_again_counts_once(study: Study):
    work = await study.promise()
    record = await study.states.promise(work, metadata("S1"), 1, Seen())
    assert [item.id for item in record.pending] == [work.id]


async def test_promise_for_another_patient_is_refused(study: Study):
    await study.promise(patient_id="P1")
    with pytest.raises(StudyConflictError):
        await study.promise(patient_id="P2")
    assert len((await study.record()).pending) == 1


async def test_postponed_submission_tells_its_next_attempt_and_the_last_problem(study: Study):
    other, work = await study.promise(), await study.promise()
    await study.states.postponed(work, LATER, 2, problem_of(UnknownModelError("m", ())))
    first, second = (await study.view()).pending or ()
    assert (first.attempts, first.problem) == (0, None)
    assert (second.attempts, second.next_attempt_at) == (2, LATER)
    assert second.problem is not None
    assert second.problem.title == "Unknown model"
    assert [item.id for item in (await study.record()).pending] == [other.id, work.id]


async def test_failed_submission_names_its_parked_item_and_its_problem(study: Study):
    work = await study.promise(images=2)
    parked = await study.fail(work, UnknownModelError("m", ("n",)))
    view = await study.view()
    [failure] = view.failures or ()
    assert (view.pending, view.status) == (None, Status.FAILED)
    assert (failure.parked, failure.images, failure.attempts) == (parked, 2, 3)
    assert "n" in str(failure.problem.detail)
    await study.fail(work)  # by another gateway, later
    assert (await study.view()).failures == (failure,)


async def test_problems_of_many_failures_are_told_by_their_kind_alone(study: Study):
    long = UnknownModelError("m", ("x" * 3000,))
    for _ in range(4):
        await study.fail(await study.promise(), long)
    told = [len(str(item.problem.detail)) > 3000 for item in (await study.view()).failures or ()]
    assert told == [True, True, False, False]


async def test_failed_submission_is_pending_again_once_it_is_revived(study: Study):
    work = await study.promise(images=2)
    await study.fail(work)
    for _ in range(2):  # whoever asks again changes nothing
        await study.states.revived(work, LATER)
    [pending] = (await study.record()).pending
    assert pending == PendingImages(id=work.id, images=2, due=LATER, attempts=3)
    assert (await study.record()).failed == ()


async def test_what_has_not_failed_cannot_be_revived(study: Study):
    await study.promise()
    with pytest.raises(ParkedItemNotFoundError):
        await study.states.revived(WorkId.new("S1", NOON), LATER)


async def test_discard_takes_a_failed_submission_and_leaves_a_pending_one(study: Study):
    pending, failed = await study.promise(), await study.promise()
    await study.fail(failed)
    assert not await study.states.discarded(pending)  # its images are needed
    assert await study.states.discarded(failed)
    assert await study.states.discarded(failed)
    record = await study.record()
    assert ([item.id for item in record.pending], record.failed) == ([pending.id], ())


async def test_study_that_is_being_deleted_takes_no_news_of_its_submissions(study: Study):
    work = await study.promise()
    await study.close()
    problem = problem_of(UnknownModelError("m", ()))
    for news in (
        study.states.postponed(work, LATER, 1, problem),
        study.states.revived(work, LATER),
        study.states.discarded(work),
        study.promise(),
        study.fail(work),
    ):
        with pytest.raises(StudyBeingDeletedError):
            await news


async def test_standing_of_work_is_what_the_document_says(study: Study):
    unknown = WorkId.new("S1", NOON)
    assert await study.states.standing(unknown, tried=False) is Standing.UNPROMISED
    assert await study.states.standing(unknown, tried=True) is Standing.DELETED
    pending, failed = await study.promise(), await study.promise()
    await study.fail(failed)
    stand = study.states.standing
    assert await stand(pending, tried=True) is Standing.PENDING
    assert await stand(failed, tried=True) is Standing.FAILED
    assert await stand(unknown, tried=False) is Standing.UNPROMISED
    assert await stand(unknown, tried=True) is Standing.DONE  # its readings took it away
    assert [await study.states.keeps(work) for work in (pending, failed, unknown)] == [
        *(True, True, False)
    ]
    await study.close()
    assert await stand(pending, tried=False) is Standing.DELETED
    assert not await study.states.keeps(pending)


async def test_study_takes_so_many_submissions_pending_and_failed():
    objects = MemoryStore()
    study = Study(objects)
    await study.fail(await study.promise())
    works = [WorkId.new("S1", NOON) for _ in range(MOST_SUBMISSIONS - 1)]
    waiting = tuple(PendingImages(id=work.id, images=1) for work in works)
    full = (await study.record()).changed(pending=waiting)
    await study.documents.change("S1", lambda _: full)
    with pytest.raises(StudyBacklogFullError):
        await study.promise()
    with pytest.raises(StudyBacklogFullError):
        await study.states.check_room("S1")
    await Study(objects).documents.change("S1", lambda _: full.changed(pending=waiting[1:]))
    await study.states.check_room("S1")  # what it remembers is full still
    await study.promise()


def test_submission_leaves_a_record_once():
    waiting = tuple(PendingImages(id=each, images=1) for each in ("a", "b"))
    record = StudyRecord.begun("S1").changed(pending=waiting)
    assert without(record, None) == waiting
    assert [item.id for item in without(record, "a")] == ["b"]
    with pytest.raises(DeliveryUnfinishedError):
        without(record, "c")
