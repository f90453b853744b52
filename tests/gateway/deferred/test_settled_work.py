"""Parked work that goes once a study has made it needless."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.deferred.settled_work import SettlingPipeline
from gateway.errors import StoreUnavailableError, UnknownModelError
from gateway.results.documents import StudyRecord
from gateway.results.settled_work import SettledWork
from gateway.results.view import study_result
from gateway.runtime.deadline import Deadline
from gateway.storage.layout import SUBMISSIONS
from gateway.studies.answer import Answer
from gateway.work.keys import WorkId
from tests.support.gateway import until
from tests.support.store import MemoryStore
from tests.support.work import Gateway, Job, image_keys

RECORD = StudyRecord.begun("S1")
ANSWER = Answer(study_result(RECORD), replayed=False, record=RECORD)


class Read:
    """A pipeline that settled this work."""

    def __init__(self, *works: WorkId) -> None:
        settled = tuple(SettledWork(SUBMISSIONS, work) for work in works)
        self.answer = replace(ANSWER, settled=settled)

    async def process(self, study: Any, deadline: Deadline, *, awaited: bool = False) -> Answer:
        del study, deadline, awaited
        return self.answer


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def gateway(objects: MemoryStore) -> AsyncIterator[Gateway]:
    gateway = Gateway(objects, Job(errors=[UnknownModelError("m", ()), UnknownModelError("m", ())]))
    yield gateway
    await gateway.die()


async def parked(gateway: Gateway) -> WorkId:
    work = await gateway.add()
    gateway.take(work)
    await until(lambda: gateway.failure(work))

    async def has_no_entry() -> bool:
        return not await gateway.entries.due()

    await until(has_no_entry)
    return work


async def answer(gateway: Gateway, *works: WorkId) -> Answer:
    pipeline = SettlingPipeline(Read(*works), gateway.parking, [gateway.entries])
    study: Any = None
    return await pipeline.process(study, Deadline.after(60))


async def test_all_goes_that_was_kept_for_settled_work_alone(
    gateway: Gateway, objects: MemoryStore
):
    settled, other = await parked(gateway), await parked(gateway)
    await gateway.states.discarded(settled)  # as a request's swap leaves the study's document
    await answer(gateway, settled)
    [item] = await gateway.parking.items(after="", limit=None)
    assert other.id in item.key
    assert not [key for key in objects.objects if settled.id in key]
    assert image_keys(settled).isdisjoint(objects.objects)
    assert image_keys(other) <= objects.objects.keys()


async def test_a_study_is_answered_though_the_store_fails_after_it(
    gateway: Gateway, objects: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    async def fails(_: str) -> None:
        raise StoreUnavailableError("disk")

    work = await parked(gateway)
    monkeypatch.setattr(objects, "purge", fails)
    assert (await answer(gateway, work)).settled
    assert await gateway.parking.items(after="", limit=None)
