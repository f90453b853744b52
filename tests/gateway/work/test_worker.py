"""Promised work, whatever becomes of the gateways that are at it."""

import asyncio
import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import (
    InferenceUnavailableError,
    RadStreamError,
    StoreUnavailableError,
    UnknownModelError,
)
from gateway.schemas.routing_rules import Lane
from gateway.storage.layout import SUBMISSIONS
from gateway.storage.protocol import ObjectStore
from gateway.work.documents import Claim
from gateway.work.keys import WorkId, entry_key, to_the_second
from tests.support.gateway import until
from tests.support.store import MemoryStore
from tests.support.work import Gateway, Job, Works, image_key, submission_of

AWAY = InferenceUnavailableError("away")


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def gateways(objects: MemoryStore) -> Any:
    """Makes gateways, which end with the test."""
    made: list[Gateway] = []

    def make(job: Job, store: ObjectStore = objects, **changes: Any) -> Gateway:
        made.append(Gateway(store, job, **changes))
        return made[-1]

    yield make
    for gateway in made:
        await gateway.die()


def left(objects: MemoryStore) -> list[str]:
    """Keys of all but the studies' documents."""
    return [key for key in objects.objects if not key.endswith("/result.json")]


def first_key(work: WorkId) -> str:
    return entry_key(SUBMISSIONS, work, to_the_second(work.received_at))


Make = Callable[..., Gateway]


async def test_done_work_leaves_nothing(gateways: Make, objects: MemoryStore):
    job = Job()
    gateway = gateways(job)
    work = await gateway.add()
    gateway.take(work)
    await until(lambda: not left(objects))
    assert job.done == [work.id]


async def test_urgent_work_that_another_gateway_left_is_done_first(
    gateways: Make, objects: MemoryStore
):
    left_behind = Works(objects, Job())
    works = [
        await left_behind.add(f"S{number}", lane)
        for number, lane in enumerate([Lane.RESEARCH, Lane.RESEARCH, Lane.ROUTINE, Lane.STAT])
    ]
    job = Job()
    gateways(job, at_once=1)
    await until(lambda: len(job.done) == len(works))
    first, trial, ward, emergency = (work.id for work in works)
    # The first one that a sweep finds has its turn before the others stand in line.
    assert job.done == [first, emergency, ward, trial]


async def test_work_is_tried_again_until_it_is_done(gateways: Make, objects: MemoryStore):
    job = Job(errors=[StoreUnavailableError("slow"), AWAY])
    work = await gateways(job).add()  # nobody takes it: a sweep finds it
    await until(lambda: not left(objects))
    assert (job.entered, job.done, job.failures) == (3, [work.id], [])


async def test_what_fails_for_good_is_parked_with_its_problem_and_left_alone(
    gateways: Make, objects: MemoryStore
):
    job = Job(errors=[UnknownModelError("m", ())])
    gateway = gateways(job)
    work = await gateway.add()
    await until(lambda: gateway.counts[-1:] == [0])
    failure = await gateway.failure(work)
    assert (failure.problem, failure.images, failure.attempts) == ("unknown-model", 1, 1)
    [item] = await gateway.parking.items(after="", limit=None)
    assert item.key == f"results/S1/submissions/{work.id}"
    assert item.problem.type == "urn:radstream:problem:unknown-model"
    assert job.failures == ["unknown-model"]
    assert objects.objects[image_key(work)] == b"pixels"
    assert job.entered == 1


async def test_retry_has_another_entry_than_the_attempt_that_failed(gateways: Make):
    """Who parked the work may remove that attempt's entry after the retry, in the same second."""
    gateway = gateways(Job(errors=[UnknownModelError("m", ())]))
    work = await gateway.add()
    await until(lambda: _failed(gateway, work))
    await gateway.die()
    before = to_the_second(dt.datetime.now(dt.UTC))
    [item] = await gateway.parking.items(after="", limit=None)
    await gateway.parked.retry(item)
    assert max(due for found, due in await gateway.entries.due() if found == work) > before


async def test_retry_whose_entry_another_gateway_meets_first_is_left_to_it(gateways: Make):
    job = Job(errors=[UnknownModelError("m", ())])
    gateway = gateways(job)
    work = await gateway.add()
    await until(lambda: _failed(gateway, work))
    document = await gateway.entries.job(work)
    assert document is not None
    due = to_the_second(dt.datetime.now(dt.UTC))
    await gateway.entries.revive(work, document, due)
    swept = len(gateway.counts)
    await until(lambda: len(gateway.counts) > swept + 3)
    await gateway.states.revived(work, due)
    await until(lambda: job.done == [work.id])


async def _failed(gateway: Works, work: WorkId) -> bool:
    return await gateway.failure(work) is not None


async def test_what_cannot_be_done_for_too_long_is_parked_with_the_last_problem(gateways: Make):
    job = Job(errors=[AWAY] * 3)
    gateway = gateways(job, give_up_s=0.0)
    work = await gateway.add()
    await until(lambda: job.failures == ["model-unavailable"])
    await until(lambda: _failed(gateway, work))
    assert job.entered == 1


async def test_work_whose_document_is_damaged_is_parked_and_keeps_no_other_back(
    gateways: Make, objects: MemoryStore
):
    job = Job()
    gateway = gateways(job)
    damaged, whole = await gateway.add("S1"), await gateway.add("S2")
    objects.objects[first_key(damaged)] = b'{"schema": "radstream.not'
    await until(lambda: _failed(gateway, damaged))
    await until(lambda: job.done == [whole.id])
    failure = await gateway.failure(damaged)
    assert failure.problem == "document-unreadable"
    assert f"/{damaged.id}.*" in failure.told.detail
    assert objects.objects[image_key(damaged)] == b"pixels"
    assert job.failures == []


async def test_work_that_nobody_could_try_for_long_has_its_time_before_it(
    gateways: Make, objects: MemoryStore
):
    """It came while no gateway ran, or follows from work that itself took as long."""
    job = Job(errors=[AWAY])
    gateway = gateways(job)
    work = WorkId.new("S1", dt.datetime(2001, 1, 1, tzinfo=dt.UTC))
    await gateway.write(work)
    await gateway.promise(work)
    await until(lambda: not left(objects))
    assert (job.entered, job.done, job.failures) == (2, [work.id], [])


async def test_time_to_give_up_runs_from_the_first_attempt_and_anew_after_a_retry(
    gateways: Make, objects: MemoryStore
):
    job = Job(errors=[AWAY] * 2)
    work = await Works(objects, job).add()
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    tried(objects, work, tried_since=long_ago)
    gateway = gateways(job)
    await until(lambda: _failed(gateway, work))
    assert job.entered == 1
    [item] = await gateway.parking.items(after="", limit=None)
    await gateway.parked.retry(item)
    await until(lambda: job.done == [work.id])
    assert job.entered == 3


@pytest.mark.parametrize("error", [AWAY, UnknownModelError("m", ()), None])
async def test_store_that_hangs_at_the_end_of_an_attempt_does_not_keep_its_turn(
    gateways: Make, monkeypatch: pytest.MonkeyPatch, error: RadStreamError | None
):
    class Hanging(MemoryStore):
        hung = 0

        async def _step(self, call: str, key: str) -> None:
            await super()._step(call, key)
            ended = job.entered == 1 and job.at_once == 0
            if ended and ("S1/" in key or key.endswith(".S1")):
                self.hung += 1
                await asyncio.Event().wait()

    monkeypatch.setattr("gateway.work.worker._NOTING_S", 0.05)
    store, job = Hanging(), Job(errors=[error] if error else [])
    gateway = gateways(job, store, at_once=1)
    first = await gateway.add("S1")
    gateway.take(first)
    await until(lambda: store.hung > 0)
    second = await gateway.add("S2")
    gateway.take(second)
    await until(lambda: second.id in job.done and first.id in job.done)
    await until(lambda: not left(store))


async def test_what_breaks_every_gateway_off_is_given_up(gateways: Make, objects: MemoryStore):
    job = Job(errors=[ValueError()] * 99)
    work = await Works(objects, job).add()
    tried(objects, work, attempts=7, broken_off=4)
    gateway = gateways(job)
    await until(lambda: _failed(gateway, work))
    assert (job.failures, job.entered) == (["study-given-up"], 1)
    assert (await gateway.failure(work)).attempts == 8


async def test_of_many_gateways_one_is_at_it(gateways: Make, objects: MemoryStore):
    job = Job(gate=asyncio.Event())
    many = [gateways(job) for _ in range(4)]
    work = await many[0].add()
    for gateway in many:
        gateway.take(work)
    await until(lambda: job.entered == 1)
    await until(lambda: all(len(gateway.counts) > 3 for gateway in many))
    assert job.entered == 1
    assert job.gate is not None
    job.gate.set()
    await until(lambda: not left(objects))
    assert job.done == [work.id]


async def test_it_is_told_when_each_piece_of_work_came(gateways: Make, objects: MemoryStore):
    """By its own name, once, though it has two entries after a gateway's death."""
    came = dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)
    work = WorkId.new("S1", came)
    for due in (came, came + dt.timedelta(hours=1)):
        objects.objects[entry_key(SUBMISSIONS, work, due)] = b"{}"
    objects.objects[f"{SUBMISSIONS}of-another-make"] = b""
    gateway = gateways(Job(gate=asyncio.Event()))
    await until(lambda: bool(gateway.moments))
    assert gateway.moments[0] == [came]


def tried(objects: MemoryStore, work: WorkId, **changes: Any) -> None:
    """Have an entry say that a gateway that died was at it."""
    document = submission_of(work).model_copy(update=changes)
    objects.objects[first_key(work)] = document.model_dump_json(by_alias=True).encode()


def claim(expires_in_s: float, owner: str = "dead.token") -> Claim:
    expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=expires_in_s)
    return Claim(owner=owner, expires_at=expires_at)


async def test_work_of_a_gateway_that_died_is_done_by_another(gateways: Make, objects: MemoryStore):
    """Its claim is still there, as after SIGKILL."""
    work = await Works(objects, Job()).add()
    tried(objects, work, claim=claim(0.3), attempts=1, tried_since=dt.datetime.now(dt.UTC))
    job = Job()
    gateways(job)
    await until(lambda: not left(objects))
    assert job.done == [work.id]


async def test_claim_of_a_clock_that_was_ahead_is_not_waited_for(
    gateways: Make, objects: MemoryStore
):
    work = await Works(objects, Job()).add()
    tried(objects, work, claim=claim(7200.0))
    job = Job()
    gateways(job, lease_s=0.3)
    await until(lambda: not left(objects))
    assert job.done == [work.id]


async def test_claim_of_a_gateway_that_has_ended_is_over(gateways: Make, objects: MemoryStore):
    class Presence:
        name = "here"

        def has_ended(self, name: str) -> bool:
            return name == "dead"

    works = Works(objects, Job())
    works_left, held = await works.add("S1"), await works.add("S2")
    tried(objects, works_left, claim=claim(600.0))
    tried(objects, held, claim=claim(600.0, "there.token"))
    job = Job()
    gateway = gateways(job, presence=Presence())
    await until(lambda: job.done == [works_left.id])
    await until(lambda: gateway.counts[-3:] == [1, 1, 1])
    assert job.done == [works_left.id]


async def test_stop_is_no_fault_of_the_work(gateways: Make):
    job = Job(gate=asyncio.Event())
    gateway = gateways(job)
    work = await gateway.add()
    await until(lambda: job.entered == 1)
    await gateway.die()
    entry = await gateway.entries.read(work, to_the_second(work.received_at))
    assert entry is not None
    document = entry.document
    assert (document.attempts, document.broken_off, document.claim) == (1, 0, None)


async def test_stop_is_obeyed_though_the_store_is_away(gateways: Make):
    class Away(MemoryStore):
        is_away = False

        async def _step(self, call: str, key: str) -> None:
            await super()._step(call, key)
            if self.is_away:
                raise StoreUnavailableError("away")

    store, job = Away(), Job(gate=asyncio.Event())
    gateway = gateways(job, store)
    await gateway.add()
    await until(lambda: job.entered == 1)
    store.is_away = True
    gateway.task.cancel()
    await until(gateway.task.done)
    assert gateway.task.cancelled()


async def test_bounded_number_is_under_way(gateways: Make, objects: MemoryStore):
    job = Job(gate=asyncio.Event())
    gateway = gateways(job, at_once=3)
    for number in range(10):
        await gateway.add(f"S{number}")
    await until(lambda: job.entered == 3)
    assert job.gate is not None
    job.gate.set()
    await until(lambda: not left(objects))
    assert (len(job.done), job.most_at_once) == (10, 3)


async def test_what_was_never_promised_is_cleared_once_its_writer_must_be_dead(
    gateways: Make, objects: MemoryStore
):
    """By what a gateway has seen itself: the time in a name may be from a clock that was wrong."""
    await Works(objects, Job()).write(WorkId.new("S1", dt.datetime(2001, 1, 1, tzinfo=dt.UTC)))
    patient = gateways(Job())
    await until(lambda: len(patient.counts) > 3)
    assert len(objects.objects) == 3
    job = Job()
    gateways(job, abandoned_s=0.1)
    await until(lambda: not objects.objects)
    assert job.entered == 0


async def test_postponed_work_has_one_entry_and_its_study_tells_of_it(
    gateways: Make, objects: MemoryStore
):
    job = Job(errors=[AWAY])
    works = Works(objects, job)
    work = await works.add()
    gate = job.gate = asyncio.Event()
    gateway = gateways(job)
    gate.set()
    await until(lambda: job.done == [work.id])
    assert [count for count in gateway.counts if count > 1] == []
    await until(lambda: not left(objects))


async def test_second_entry_of_work_that_a_death_left_goes_with_it(
    gateways: Make, objects: MemoryStore
):
    """A gateway died between the entry of the new time and the removal of the old one."""
    work = await Works(objects, Job()).add()
    now = dt.datetime.now(dt.UTC)
    tried(objects, work, claim=claim(0.2), attempts=1, tried_since=now)
    second = submission_of(work).model_copy(update={"attempts": 1, "tried_since": now})
    due = to_the_second(now) + dt.timedelta(seconds=1)
    data = second.model_dump_json(by_alias=True).encode()
    objects.objects[entry_key(SUBMISSIONS, work, due)] = data
    job = Job()
    gateways(job)
    await until(lambda: not left(objects))
    assert job.done == [work.id]


@pytest.mark.parametrize("error", [AWAY, UnknownModelError("m", ())])
async def test_store_that_fails_now_and_then_loses_no_work(
    gateways: Make, objects: MemoryStore, error: RadStreamError
):
    class Flaky(MemoryStore):
        dice = random.Random(1)  # noqa: S311 - any will do

        async def _step(self, call: str, key: str) -> None:
            await super()._step(call, key)
            if self.dice.random() < 0.05:
                raise StoreUnavailableError("flaky")

    flaky = Flaky()
    flaky.objects = objects.objects
    job = Job(errors=[error])
    works = Works(objects, Job())
    work = await works.add()
    gateways(job, flaky, lease_s=0.2)

    async def is_over() -> bool:
        entries = [key for key in objects.objects if key.startswith(SUBMISSIONS)]
        return not entries and (bool(job.done or job.ends) or await _failed(works, work))

    await until(is_over)
    if error is AWAY:
        assert set(job.done) <= {work.id}
        assert not left(objects)
    else:
        assert set(job.failures) <= {"unknown-model"}
