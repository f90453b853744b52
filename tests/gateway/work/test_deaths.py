"""Gateways that die between any two steps of promised work, in any order of what may happen to it.

In the end nothing that was promised is lost or done twice, nothing that was deleted comes back, and
no entry is left.
"""

import asyncio
import datetime as dt
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from gateway.errors import (
    InferenceUnavailableError,
    ParkedItemNotFoundError,
    StudyBeingDeletedError,
    UnknownModelError,
)
from gateway.results.documents import StudyRecord
from gateway.results.keys import image_key as image_key_of
from gateway.results.study_documents import StudyDocuments
from gateway.results.submissions import without
from gateway.results.tombstone import Reason
from gateway.runtime.backoff import Backoff
from gateway.storage.layout import SUBMISSIONS
from gateway.work.keys import WorkId, of_parked
from tests.support.deletion import deletion_on
from tests.support.gateway import until
from tests.support.readings import reading
from tests.support.store import MemoryStore, MortalStore
from tests.support.work import SHA256, Job, Works, image_key, image_keys, image_name

STUDIES = ("S1", "S2")
OUTCOMES = {
    "done": [],
    "later": [InferenceUnavailableError("away")],
    "failed": [UnknownModelError("m", ())] * 9,
}
NEVER = 1_000_000
deaths = st.integers(0, 14) | st.just(NEVER)


class Listing(Job):
    """Keeps in the study's document which work was done, how often, and the first's reading.

    All have the same image, so that what the others wrote of it is named by no reading.
    """

    async def _end(self, work: WorkId) -> None:
        def change(record: StudyRecord | None) -> StudyRecord:
            pending = without(record or StudyRecord.begun(work.study_id), work.id)
            assert record is not None
            times = int(record.standing.get(work.id, "0")) + 1
            readings = record.readings or (
                reading(study_id=work.study_id, sha256=SHA256, object=image_name(work)),
            )
            return record.changed(
                pending=pending,
                readings=readings,
                images=1,
                standing={**record.standing, work.id: str(times)},
            )

        assert self.documents is not None
        await self.documents.change(work.study_id, change)


class Deaths(RuleBasedStateMachine):
    """Gateways on one store that begin, work, and die."""

    def __init__(self, runner: asyncio.Runner) -> None:
        super().__init__()
        self.runner = runner
        self.objects: dict[str, bytes] = {}
        self.promised: set[WorkId] = set()
        self.unpromised: set[WorkId] = set()
        self.discarded: set[WorkId] = set()

    def works(
        self, dies_at: int, outcome: str = "done", **changes: Any
    ) -> tuple[MortalStore, Works]:
        store = MortalStore(self.objects, dies_at)
        job = Listing(errors=[*OUTCOMES[outcome]])
        return store, Works(store, job, sweep_s=0.001, lease_s=0.0, **changes)

    def survives(self, store: MortalStore, doing: Coroutine[object, object, object]) -> bool:
        return not self.runner.run(store.kills(doing))

    @rule(study_id=st.sampled_from(STUDIES), dies_at=deaths, met=st.booleans())
    def accept(self, study_id: str, dies_at: int, met: bool) -> None:
        """Promise work; another gateway may meet its entry before."""
        store, works = self.works(dies_at)
        work = WorkId.new(study_id, dt.datetime.now(dt.UTC))
        told: list[WorkId] = []

        async def accept() -> None:
            await works.write(work)
            if met:
                await _passed(self.works(NEVER)[1])
            try:
                await works.promise(work)
            except StudyBeingDeletedError:
                return
            told.append(work)

        self.survives(store, accept())
        (self.promised if told else self.unpromised).add(work)

    @rule(outcome=st.sampled_from([*OUTCOMES]), dies_at=deaths)
    def work(self, outcome: str, dies_at: int) -> None:
        store, works = self.works(dies_at, outcome)
        self.survives(store, _passed(works))

    @rule(dies_at=deaths, retried=st.booleans())
    def operate(self, dies_at: int, retried: bool) -> None:
        """Have the first parked item tried again, or discard it."""
        store, works = self.works(dies_at)
        for item in self.runner.run(self.works(NEVER)[1].parking.items(after="", limit=1)):
            work = of_parked(SUBMISSIONS, item.key)
            assert work is not None
            if not retried:
                self.discarded.add(work)
            self.survives(store, _operate(works, item, retried=retried))

    @rule(study_id=st.sampled_from(STUDIES), dies_at=deaths)
    def delete(self, study_id: str, dies_at: int) -> None:
        """Delete a study; whether it was promised to be is told by its document."""
        store = MortalStore(self.objects, dies_at)
        self.survives(store, deletion_on(store).delete(study_id, Reason.REQUEST))
        healthy = MemoryStore()
        healthy.objects = self.objects
        seen = self.runner.run(StudyDocuments(healthy).read(study_id))
        if seen.closing is not None:
            self.promised = {work for work in self.promised if work.study_id != study_id}
            self.runner.run(deletion_on(healthy, closed_s=0.0).sweep())

    def teardown(self) -> None:
        """Let a gateway that lives see everything through, and look what became of it."""
        _, works = self.works(NEVER, abandoned_s=0.0)
        self.runner.run(until(lambda: _is_all_due(works)))
        for _ in range(2):
            self.runner.run(_passed(works))
        for item in self.runner.run(works.parking.items(after="", limit=None)):
            work = of_parked(SUBMISSIONS, item.key)
            if work in self.discarded:  # again: the first time a gateway died over it, or it was
                self.runner.run(_operate(works, item, retried=False))  # pending still
        self.runner.run(_passed(works))
        self.runner.run(self._judge(works))

    async def _judge(self, works: Works) -> None:
        records = {name: (await works.documents.read(name)).open_record() for name in STUDIES}
        parked = await works.parking.items(after="", limit=None)
        items = {of_parked(SUBMISSIONS, item.key) for item in parked}
        failed = set()
        for work in self.promised:
            record = records[work.study_id]
            assert record is not None
            failures = {item.id for item in record.failed}
            if work.id in failures:
                failed.add(work)
                assert await works.entries.job(work) is not None
                assert image_keys(work) <= self.objects.keys()
            else:
                assert record.standing.get(work.id) == "1" or work in self.discarded, work
            assert not record.pending
        assert items == failed
        known = {work.id for work in self.promised | self.unpromised}
        for record in records.values():
            assert record is None or record.standing.keys() <= known
        assert not [key for key in self.objects if key.startswith(SUBMISSIONS)]
        left = {key.split("/")[3] for key in self.objects if "/submissions/" in key}
        assert left <= {work.id for work in failed | self.unpromised}
        self._judge_images(records, failed)

    def _judge_images(self, records: dict[str, StudyRecord | None], failed: set[WorkId]) -> None:
        """Look whether every image is there that a reading or failed work names, and no other."""
        readings = [item for record in records.values() if record for item in record.readings]
        named = {image_key_of(item) for item in readings} | set(map(image_key, failed))
        images = {key for key in self.objects if "/images/" in key}
        assert named <= images
        assert images <= named | set(map(image_key, self.unpromised))


async def _is_all_due(works: Works) -> bool:
    """Return True once what is tried again may be taken, in the second after that was asked."""
    now = dt.datetime.now(dt.UTC)
    return all(due <= now for _, due in await works.entries.due())


async def _operate(works: Works, item: Any, *, retried: bool) -> None:
    try:
        if retried:
            await works.parked.retry(item)
        else:
            await works.parked.discard(item)
            await works.parking.discard(item.id)
    except ParkedItemNotFoundError:  # its gateway died before it had failed
        pass


async def _passed(works: Works) -> None:
    """Return once a worker has nothing at hand any more."""
    before = len(works.counts)
    task = asyncio.create_task(works.worker.run())
    worker = works.worker

    def is_idle() -> bool:
        idle = worker._queue.empty() and not worker._at_hand
        return (len(works.counts) > before + 1 and idle) or task.done()

    try:
        await until(is_idle)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_gateways_that_die_between_any_two_steps(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.work.worker._BACKOFF", Backoff(first_s=0.001, longest_s=0.001))
    run_state_machine_as_test(
        lambda: Deaths(runner),
        settings=settings(
            max_examples=40,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
