"""Promised work, whatever becomes of the gateways that are at it."""

import asyncio
import datetime as dt
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.errors import (
    InferenceUnavailableError,
    RadStreamError,
    StoreUnavailableError,
    UnknownModelError,
)
from gateway.problems import problem_of
from gateway.runtime.deadline import Deadline
from gateway.schemas.problem import Problem
from gateway.storage.protocol import ObjectStore
from gateway.work.backlog import Backlog, Work
from gateway.work.documents import Lease, PendingCallback, Progress
from gateway.work.leases import Leases
from gateway.work.parked import Parking
from gateway.work.worker import Worker
from tests.support.gateway import until
from tests.support.store import MemoryStore

ROOT = "pending/"
AWAY = InferenceUnavailableError("away")


@dataclass
class Job:
    """Does what the test says, and remembers it."""

    errors: list[BaseException] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    entered: int = 0
    at_once: int = 0
    most_at_once: int = 0
    gate: asyncio.Event | None = None

    async def perform(self, work: Work, document: PendingCallback, deadline: Deadline) -> None:
        del document, deadline
        self.entered += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.errors:
                raise self.errors.pop()
            self.done.append(work.id)
        finally:
            self.at_once -= 1

    async def failed(self, work: Work, document: PendingCallback, problem: Problem) -> None:
        del work, document
        self.failures.append(problem.type.rpartition(":")[2])


class Gateway:
    """One gateway's worker, running."""

    def __init__(self, objects: ObjectStore, job: Job, **changes: Any) -> None:
        lease_s = changes.pop("lease_s", 30.0)
        leases = Leases(objects, root=ROOT, lease_s=lease_s)
        abandoned_s = changes.pop("abandoned_s", 3600.0)
        self.backlog = Backlog(
            objects, root=ROOT, document=PendingCallback, leases=leases, abandoned_s=abandoned_s
        )
        self.counts: list[int] = []
        self.moments: list[Sequence[dt.datetime | None]] = []
        options: dict[str, Any] = {"at_once": 4, "sweep_s": 0.02, "timeout_s": 20}
        self.worker = Worker(
            self.backlog,
            job,
            parking=Parking(objects, problem_of),
            problem_of=problem_of,
            count=self._count,
            **options | {"give_up_s": 3600.0} | changes,
        )
        self.task = asyncio.create_task(self.worker.run())

    def _count(self, moments: Sequence[dt.datetime | None]) -> None:
        self.counts.append(len(moments))
        self.moments.append(moments)

    async def add(self, study_id: str = "S1") -> Work:
        return await self.backlog.add(study_id, NOTICE, {"image-1": b"pixels"})

    async def die(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


NOTICE = PendingCallback(url="https://example.org/")


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


Make = Callable[..., Gateway]


async def test_done_work_leaves_nothing(gateways: Make, objects: MemoryStore):
    job = Job()
    gateway = gateways(job)
    work = await gateway.add()
    gateway.worker.take(work)
    await until(lambda: not objects.objects)
    assert job.done == [work.id]


async def test_work_is_tried_again_until_it_is_done(gateways: Make, objects: MemoryStore):
    job = Job(errors=[StoreUnavailableError("slow"), AWAY])
    work = await gateways(job).add()  # nobody takes it: a sweep finds it
    await until(lambda: not objects.objects)
    assert (job.entered, job.done, job.failures) == (3, [work.id], [])


async def test_what_fails_for_good_is_parked_with_its_problem_and_left_alone(
    gateways: Make, objects: MemoryStore
):
    job = Job(errors=[UnknownModelError("m", ())])
    gateway = gateways(job)
    work = await gateway.add()
    await until(lambda: f"{ROOT}{work.path}/failed.json" in objects.objects)
    failure = await gateway.backlog.failure(work)
    assert failure is not None
    item = await Parking(objects, problem_of).item(failure.parked)
    assert item.key == f"{ROOT}{work.path}"
    assert item.problem.type == "urn:radstream:problem:unknown-model"
    assert job.failures == ["unknown-model"]
    await until(lambda: gateway.counts[-1:] == [0])
    assert await gateway.backlog.blob(work, "image-1") == b"pixels"
    assert job.entered == 1
    await gateway.backlog.revive(work)
    gateway.worker.take(work)
    await until(lambda: job.done == [work.id])


async def test_what_cannot_be_done_for_too_long_is_parked_with_the_last_problem(
    gateways: Make, objects: MemoryStore
):
    job = Job(errors=[AWAY] * 3)
    gateway = gateways(job, give_up_s=0.0)
    work = await gateway.add()
    await until(lambda: job.failures == ["model-unavailable"])
    await until(lambda: f"{ROOT}{work.path}/failed.json" in objects.objects)
    assert job.entered == 1


async def test_work_whose_document_is_damaged_is_parked_and_keeps_no_other_back(
    gateways: Make, objects: MemoryStore
):
    job = Job()
    gateway = gateways(job)
    damaged, whole = await gateway.add("S1"), await gateway.add("S2")
    objects.objects[f"{ROOT}{damaged.path}/work.json"] = b'{"schema": "radstream.not'
    await until(lambda: f"{ROOT}{damaged.path}/failed.json" in objects.objects)
    await until(lambda: job.done == [whole.id])
    failure = await gateway.backlog.failure(damaged)
    assert failure is not None
    assert failure.problem.type == "urn:radstream:problem:document-unreadable"
    assert "pending/*/" in failure.problem.detail
    assert await gateway.backlog.blob(damaged, "image-1") == b"pixels"
    assert job.failures == []


@pytest.mark.parametrize("name", ["progress.json", "claims/000001.json"])
async def test_damaged_note_of_progress_or_of_a_claim_holds_nobody_back(
    gateways: Make, objects: MemoryStore, name: str
):
    backlog = Gateway(objects, Job())
    await backlog.die()
    work = await backlog.add()
    objects.objects[f"{ROOT}{work.path}/{name}"] = b"\0\0\0"
    job = Job()
    gateways(job)
    await until(lambda: not objects.objects)
    assert job.done == [work.id]


async def test_work_that_nobody_could_try_for_long_has_its_time_before_it(
    gateways: Make, objects: MemoryStore
):
    """It came while no gateway ran, or follows from work that itself took as long."""
    job = Job(errors=[AWAY])
    gateway = gateways(job)
    work = await gateway.backlog.add("S1", NOTICE, {}, work_id="20010101T000000Z-aa")
    await until(lambda: not objects.objects)
    assert (job.entered, job.done, job.failures) == (2, [work.id], [])


async def test_time_to_give_up_runs_from_the_first_attempt_and_anew_after_a_retry(
    gateways: Make, objects: MemoryStore
):
    job = Job(errors=[AWAY] * 2)
    backlog = Gateway(objects, job)
    await backlog.die()
    work = await backlog.add()
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    await backlog.backlog.note(work, Progress(attempts=0, tried_since=long_ago))
    gateway = gateways(job)
    await until(lambda: f"{ROOT}{work.path}/failed.json" in objects.objects)
    assert job.entered == 1
    await gateway.backlog.revive(work)
    gateway.worker.take(work)
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
            if job.entered == 1 and "S1/" in key and "/claims/" not in key:
                self.hung += 1
                await asyncio.Event().wait()

    monkeypatch.setattr("gateway.work.worker._NOTING_S", 0.05)
    store, job = Hanging(), Job(errors=[error] if error else [])
    gateway = gateways(job, store, at_once=1)
    first = await gateway.add("S1")
    gateway.worker.take(first)
    await until(lambda: store.hung > 0)
    second = await gateway.add("S2")
    gateway.worker.take(second)
    await until(lambda: second.id in job.done and first.id in job.done)
    await until(lambda: not store.objects)


async def test_what_breaks_every_gateway_off_is_given_up(gateways: Make):
    job = Job(errors=[ValueError()] * 99)
    gateway = gateways(job)
    work = await gateway.add()
    await gateway.backlog.note(work, Progress(attempts=7, broken_off=4))
    await until(lambda: job.failures == ["study-given-up"])
    assert job.entered == 1
    failure = await gateway.backlog.failure(work)
    assert failure is None or failure.attempts == 8


async def test_of_many_gateways_one_is_at_it(gateways: Make, objects: MemoryStore):
    job = Job(gate=asyncio.Event())
    many = [gateways(job) for _ in range(4)]
    work = await many[0].add()
    for gateway in many:
        gateway.worker.take(work)
    await until(lambda: job.entered == 1)
    await until(lambda: all(len(gateway.counts) > 3 for gateway in many))
    assert job.entered == 1
    assert job.gate is not None
    job.gate.set()
    await until(lambda: not objects.objects)
    assert job.done == [work.id]


async def test_it_is_told_when_each_piece_of_work_came(gateways: Make, objects: MemoryStore):
    """By its own name, which outlives whoever took it in; a name that is no time has none."""
    for name in ("20260102T030405Z-aa", "of-another-make"):
        objects.objects[f"{ROOT}S1/{name}/work.json"] = NOTICE.model_dump_json().encode()
    gateway = gateways(Job(gate=asyncio.Event()))
    await until(lambda: bool(gateway.moments))
    assert gateway.moments[0] == [dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), None]


async def test_work_of_a_gateway_that_died_is_done_by_another(gateways: Make, objects: MemoryStore):
    """Its claim is still there, as after SIGKILL."""
    dead = gateways(Job(gate=asyncio.Event()), lease_s=0.3)
    work = await dead.add()
    leases = Leases(objects, root=ROOT, lease_s=0.3)
    async with leases.held(f"{work.path}/claims", work.path):
        left = dict(objects.objects)
    await dead.die()
    objects.objects = left
    job = Job()
    gateways(job)
    await until(lambda: not objects.objects)
    assert job.done == [work.id]


async def test_claim_of_a_clock_that_was_ahead_is_not_waited_for(
    gateways: Make, objects: MemoryStore
):
    backlog = Gateway(objects, Job())
    await backlog.die()
    work = await backlog.add()
    ahead = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    lease = Lease(key=work.path, owner="dead", expires_at=ahead)
    key = f"{ROOT}{work.path}/claims/000001.json"
    objects.objects[key] = lease.model_dump_json(by_alias=True).encode()
    job = Job()
    gateways(job, lease_s=0.3)
    await until(lambda: not objects.objects)
    assert job.done == [work.id]


async def test_stop_is_no_fault_of_the_work(gateways: Make, objects: MemoryStore):
    job = Job(gate=asyncio.Event())
    gateway = gateways(job)
    work = await gateway.add()
    await until(lambda: job.entered == 1)
    await gateway.die()
    progress = await gateway.backlog.progress(work)
    assert (progress.attempts, progress.broken_off) == (1, 0)
    assert not [key for key in objects.objects if "/claims/" in key]


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
    await until(lambda: not objects.objects)
    assert (len(job.done), job.most_at_once) == (10, 3)


async def test_what_was_never_promised_is_cleared_once_its_writer_must_be_dead(
    gateways: Make, objects: MemoryStore
):
    """By what a gateway has seen itself: the time in a name may be from a clock that was wrong."""
    objects.objects = {f"{ROOT}S1/20010101T000000Z-aa/image-1": b"x"}
    patient = gateways(Job())
    await until(lambda: len(patient.counts) > 3)
    assert objects.objects
    gateways(Job(), abandoned_s=0.1)
    await until(lambda: not objects.objects)


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
    work = await Backlog(
        objects,
        root=ROOT,
        document=PendingCallback,
        leases=Leases(objects, root=ROOT, lease_s=0.2),
    ).add("S1", NOTICE, {})
    gateways(job, flaky, lease_s=0.2)
    # Where the store fails over the removal of what is done, some of it stays for an hour.
    own = f"{ROOT}{work.path}/"
    await until(
        lambda: f"{own}work.json" not in objects.objects or f"{own}failed.json" in objects.objects
    )
    if error is AWAY:
        assert set(job.done) == {work.id}
    else:
        assert set(job.failures) <= {"unknown-model"}
