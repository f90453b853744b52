"""Entries of work: one for each piece, claimed by one gateway at a time."""

import datetime as dt

import pytest

from gateway.storage.layout import SUBMISSIONS
from gateway.work.claims import Claims
from gateway.work.documents import Submission, SubmittedPart
from gateway.work.entries import Entries, Needs, entries_of
from gateway.work.keys import WorkId
from tests.support.readings import NOON
from tests.support.store import MemoryStore

PART = SubmittedPart(part="image[0]", object="image-1")
SUBMISSION = Submission(received_at=NOON, parts=(PART,), image_bytes=3, context={})
LATER = NOON + dt.timedelta(minutes=1)


def entries_on(objects: MemoryStore, needs: Needs[Submission] | None = None) -> Entries[Submission]:
    """The entries as one gateway has them."""
    claims = Claims(lease_s=60.0)
    return Entries(objects, kind=SUBMISSIONS, document=Submission, claims=claims, needs=needs)


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


async def test_work_is_found_in_the_order_of_its_times(objects: MemoryStore):
    entries = entries_on(objects)
    later, first = WorkId.new("S1", LATER), WorkId.new("S2", NOON)
    for work in (later, first):
        await entries.add(work, SUBMISSION)
    assert await entries.due() == [(first, NOON), (later, LATER)]


class Removed:
    """Remembers of which work the needs went, and asks for none."""

    def __init__(self) -> None:
        self.removed: list[WorkId] = []

    async def remove(self, work: WorkId, document: Submission) -> None:
        assert document == SUBMISSION
        self.removed.append(work)


async def test_what_the_work_needs_goes_with_the_job_that_was_kept(objects: MemoryStore):
    needs, work = Removed(), WorkId.new("S1", NOON)
    entries = entries_on(objects, needs)
    await entries.keep_job(work, NOON, SUBMISSION)
    await entries.forget(work, SUBMISSION)
    assert (needs.removed, objects.objects) == ([work], {})
    objects.calls.clear()
    await entries.forget(work, SUBMISSION, has_failed=False)
    assert (needs.removed, objects.calls) == ([work, work], [])
    await entries.keep_job(work, NOON, SUBMISSION)
    await entries.forget(work, None)  # of which nothing can be read
    assert (needs.removed, objects.objects) == ([work, work], {})


async def test_one_of_two_gateways_can_claim_it_and_the_other_sees_that(objects: MemoryStore):
    here, there, work = entries_on(objects), entries_on(objects), WorkId.new("S1", NOON)
    entry = await here.add(work, SUBMISSION)
    seen = await there.read(work, NOON)
    assert entry is not None
    assert seen is not None
    assert await there.is_free(seen)
    assert await here.claim(entry, attempts=1) is not None
    assert await there.claim(seen) is None
    now = await there.read(work, NOON)
    assert now is not None
    assert now.document.attempts == 1
    assert not await there.is_free(now)
    assert await here.is_free(now)


async def test_a_postponed_entry_stands_under_both_times_until_the_old_one_is_removed(
    objects: MemoryStore,
):
    entries, work = entries_on(objects), WorkId.new("S1", NOON)
    entry = await entries.add(work, SUBMISSION)
    assert entry is not None
    new = await entries.postpone(entry, LATER, attempts=2)
    assert new is not None
    assert await entries.due() == [(work, NOON), (work, LATER)]
    await entries.remove(work, NOON)
    assert await entries.due() == [(work, LATER)]
    assert (new.due, new.document.attempts) == (LATER, 2)


async def test_work_within_the_same_second_keeps_its_entry(objects: MemoryStore):
    entries, work = entries_on(objects), WorkId.new("S1", NOON)
    entry = await entries.add(work, SUBMISSION)
    assert entry is not None
    await entries.postpone(entry, NOON + dt.timedelta(milliseconds=900), attempts=1)
    assert await entries.due() == [(work, NOON)]


async def test_the_job_of_failed_work_is_kept_without_its_claim(objects: MemoryStore):
    entries, work = entries_on(objects), WorkId.new("S1", NOON)
    entry = await entries.add(work, SUBMISSION)
    assert entry is not None
    claimed = await entries.claim(entry, attempts=3)
    assert claimed is not None
    assert await entries.job(work) is None
    await entries.keep_job(work, NOON, claimed.document)
    assert await entries.job(work) == SUBMISSION.model_copy(update={"attempts": 3})


async def test_entries_of_a_study_are_found_among_all(objects: MemoryStore):
    entries = entries_on(objects)
    for study_id in ("S1", "S2"):
        await entries.add(WorkId.new(study_id, NOON), SUBMISSION)
    [found] = await entries_of(objects, "S1")
    assert found.endswith(".S1")
