"""Studies that are accepted before they are processed: what they ask of the store, and refusals."""

import asyncio
import datetime as dt
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.audit.trail import GATEWAY, Audit, name_study
from gateway.errors import (
    NoRuleError,
    StoreUnavailableError,
    StudyBacklogFullError,
    StudyConflictError,
    UnknownModelError,
)
from gateway.observability.metrics import Metrics
from gateway.problems import problem_of
from gateway.results.documents import StudyRecord
from gateway.results.submissions import MOST_SUBMISSIONS, with_submissions
from gateway.results.tombstone import Reason
from gateway.results.view import study_result
from gateway.schemas.routing_rules import Lane
from gateway.storage.layout import CALLBACKS
from gateway.studies.dicom_instance import FailureReason, failure_reason
from gateway.work.documents import SubmittedPart
from gateway.work.keys import WorkId, to_the_second
from gateway.work.parked import Parking
from gateway.work.worker import Worker
from tests.gateway.studies.piped import routing
from tests.support.audit import Trail
from tests.support.deferred import DeferredGateway
from tests.support.deletion import deletion_on
from tests.support.gateway import until
from tests.support.store import MemoryStore
from tests.support.work import JOB


class Rounds:
    """Requests to a store that are answered together, so that their waits can be counted."""

    def __init__(self) -> None:
        self.counted = False
        self.count = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def turn(self) -> None:
        if self.counted:
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]

    async def of(self, doing: Any) -> Any:
        """Return what comes of it, with the requests answered round by round."""
        self.counted, self.count = True, 0
        task = asyncio.create_task(doing)
        while True:
            await until(lambda: bool(self._waiting) or task.done())
            if task.done():
                self.counted = False
                return task.result()
            for _ in range(20):  # all that begin before any is answered
                await asyncio.sleep(0)
            waiting, self._waiting = self._waiting, []
            self.count += 1
            for future in waiting:
                future.set_result(None)


def asked(objects: MemoryStore) -> Counter[tuple[str, str]]:
    """Requests by what was called and the beginning of the key."""
    return Counter((call, _place(key)) for call, key in objects.calls)


def _place(key: str) -> str:
    if key.endswith("/result.json"):
        return "document"
    return "entry" if key.startswith("work/") else key.split("/")[2]


async def test_study_is_accepted_with_four_requests_and_two_waits():
    rounds = Rounds()
    objects = MemoryStore(rounds.turn)
    await rounds.of(DeferredGateway(objects).accept("S1"))
    assert asked(objects) == {
        ("read", "document"): 1,
        ("replace", "images"): 1,
        ("swap", "entry"): 1,
        ("swap", "document"): 1,
    }
    assert rounds.count == 2


async def test_first_image_of_a_study_that_completes_takes_one_request_more():
    objects = MemoryStore()
    gateway = DeferredGateway(objects, routes=("rest",))
    for count in (5, 3, 3):
        objects.calls.clear()
        await gateway.accept("S1", count)
        assert asked(objects).total() == count


async def test_rules_say_when_a_study_is_complete():
    completion = {"quiet_s": 7, "expected_instances": 3}
    rule = {"name": "all", "when": {"all": []}, "completion": completion}
    gateway = DeferredGateway(MemoryStore(), routes=("rest",), routing=routing(rule))
    accepted = await gateway.accept("S1")
    found = accepted.record.completion
    assert found is not None
    assert (found.quiet_s, found.expected) == (7, 3)


async def test_a_study_waits_in_the_most_urgent_lane_that_rules_say():
    rules = [
        {"name": name, "when": {"all": []}, "lane": lane}
        for name, lane in (("trial", "research"), ("emergency", "stat"))
    ]
    accepted = await DeferredGateway(MemoryStore(), routing=routing(*rules)).accept("S1")
    assert accepted.work.lane is Lane.STAT
    assert (await DeferredGateway(MemoryStore()).accept("S1")).work.lane is Lane.ROUTINE


async def test_what_no_rule_takes_is_not_accepted():
    objects = MemoryStore()
    rule = {"name": "ward", "when": {"field": "sender", "equals": "ward-9"}}
    with pytest.raises(NoRuleError):
        await DeferredGateway(objects, routing=routing(rule)).accept("S1")
    assert objects.objects == {}


@pytest.mark.parametrize("pending", [1, 200])
async def test_requests_do_not_grow_with_what_is_pending(pending: int):
    objects = MemoryStore()
    gateway = DeferredGateway(objects)
    await gateway.fill("S1", pending)
    objects.calls.clear()
    await DeferredGateway(objects).accept("S1")  # another gateway, which remembers nothing
    assert asked(objects).total() == 4
    objects.calls.clear()
    accepted = await gateway.accept("S1", 2)  # it reads again after the lost swap
    assert asked(objects).total() == 5
    objects.calls.clear()
    accepted = await gateway.accept("S1", 3)
    assert asked(objects) == {
        ("replace", "images"): 1,
        ("swap", "entry"): 1,
        ("swap", "document"): 1,
    }
    assert len(accepted.record.pending) == pending + 3


async def test_study_is_processed_with_one_swap_of_its_document():
    objects = MemoryStore()
    gateway = DeferredGateway(objects)
    work, _ = await gateway.accept("S1")
    objects.calls.clear()
    task = asyncio.create_task(gateway.worker.run())
    await until(lambda: asked(objects)[("purge", "entry")] == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert asked(objects) == {
        ("keys", "entry"): 1,  # the sweep at the start
        ("swap", "entry"): 1,
        ("read", "images"): 1,
        ("swap", "document"): 1,
        ("purge", "entry"): 1,
    }
    record = await gateway.results.record("S1")
    assert record is not None
    assert (record.images, record.pending, record.failed) == (1, (), ())
    assert gateway.readings.inferences.total() == 1
    assert not [key for key in objects.objects if work.id in key]


async def test_what_is_done_or_deleted_meanwhile_is_not_added_again():
    objects = MemoryStore()
    first, second = DeferredGateway(objects), DeferredGateway(objects)
    work, _ = await first.accept("S1")
    entry = await second.entries.read(work, (await second.entries.due())[0][1])
    assert entry is not None
    await first.deletion.delete("S1", Reason.REQUEST)
    await deletion_on(objects, closed_s=0.0).sweep()
    await first.fill("S1", 1)  # it came again
    task = asyncio.create_task(second.worker.run())
    second.worker.take(work, entry.due, entry)  # by one that had it in hand all the time
    await until(second.worker._queue.empty)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    record = await first.results.record("S1")
    assert record is not None
    assert record.images == 0
    assert not [key for key in objects.objects if work.id in key]


async def test_another_patient_is_refused_and_leaves_nothing():
    objects = MemoryStore()
    await DeferredGateway(objects).accept("S1", patient_id="P1")
    before = dict(objects.objects)
    with pytest.raises(StudyConflictError):
        await DeferredGateway(objects).accept("S1", patient_id="P2")
    assert objects.objects == before


async def test_study_of_which_all_failed_takes_the_identity_of_the_next_one():
    objects = MemoryStore()
    gateway = DeferredGateway(objects)
    work, _ = await gateway.accept("S1", patient_id="P1", accession_number="A1")
    parking = Parking(objects, problem_of)
    item = await parking.park_work("results/S1/submissions/x", UnknownModelError("m", ()))
    await gateway.states.failed(work, None, item)
    record = (await gateway.accept("S1", patient_id="P2")).record
    assert record.identity == {"patient_id": "P2"}
    with pytest.raises(StudyConflictError):
        await gateway.accept("S1", patient_id="P1")
    trail = Trail()
    async with Audit(trail, Metrics(CollectorRegistry()), instance="here").of_work("x", GATEWAY):
        name_study("S1")
        await gateway.states.failed(WorkId("S1", record.pending[0].id), None, item)
        record = (await gateway.accept("S1", patient_id="P3")).record
        record = (await gateway.accept("S1", patient_id="P3")).record
    [told] = trail.records
    assert told["identity_corrected"] is True
    view = with_submissions(study_result(record), record)
    assert (view.status, len(view.pending or ()), len(view.failures or ())) == ("pending", 2, 2)


@asynccontextmanager
async def working(*workers: Worker[Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_sender_is_told_though_a_gateway_dies_between_the_readings_and_that():
    objects = MemoryStore()
    dying, other = DeferredGateway(objects), DeferredGateway(objects)
    work, _ = await dying.accept("S1", callback="https://ris.test/")
    entry = await dying.entries.read(work, to_the_second(work.received_at))
    assert entry is not None
    now = dt.datetime.now(dt.UTC)
    assert await dying.entries.change(entry, attempts=1, tried_since=now)
    await dying.documents.change(
        "S1", lambda record: record.changed(pending=()) if record else StudyRecord.begun("S1")
    )
    async with working(other.worker, other.notifier):
        await until(lambda: len(other.sent) == 1)
        await until(lambda: [*objects.objects] == ["results/S1/result.json"])
    assert json.loads(other.sent[0])["delivery"] == work.id


async def test_callback_of_a_deleted_study_is_not_sent():
    objects = MemoryStore()
    gateway = DeferredGateway(objects)
    work, _ = await gateway.accept("S1")
    await gateway.callbacks.announce(work, "https://ris.test/", None)
    kept = {key: data for key, data in objects.objects.items() if key.startswith(CALLBACKS)}
    await gateway.deletion.delete("S1", Reason.REQUEST)
    assert not [key for key in objects.objects if work.id in key]
    objects.objects |= kept  # written by one that was slow
    other = DeferredGateway(objects)
    async with working(other.notifier):
        await until(lambda: not [key for key in objects.objects if work.id in key])
    assert other.sent == []


async def test_no_more_of_a_study_waits_than_its_document_has_room_for():
    objects = MemoryStore()
    gateway = DeferredGateway(objects)
    await gateway.fill("S1", MOST_SUBMISSIONS)
    problem = problem_of(UnknownModelError("m", ()))
    record = await gateway.results.record("S1")
    assert record is not None
    for item in record.pending:  # as long as they may be
        work = WorkId("S1", item.id)
        await gateway.states.postponed(work, dt.datetime.now(dt.UTC), 10_000, problem)
    parking = Parking(objects, problem_of)
    errors = [UnknownModelError("m", (f"a model of many {number}",)) for number in range(9)]
    part = SubmittedPart(part="image", object="x", sha256="a" * 64, sop_instance_uid="1.2.3")
    sent = JOB.model_copy(update={"attempts": 10_000, "parts": (part,)})
    for failed in (False, True):
        for place, item in enumerate(record.pending if failed else ()):
            parked = await parking.park_work(f"results/S1/submissions/{item.id}", errors[place % 9])
            await gateway.states.failed(WorkId("S1", item.id), sent, parked)
        before = dict(objects.objects)
        for other in (gateway, DeferredGateway(objects)):
            with pytest.raises(StudyBacklogFullError) as caught:
                await other.accept("S1")
            assert failure_reason(caught.value) is FailureReason.OUT_OF_RESOURCES
        assert objects.objects == before
        assert len(objects.objects["results/S1/result.json"]) < 64 * 1024
    record = await gateway.results.record("S1")
    assert record is not None
    failures = with_submissions(study_result(record), record).failures or ()
    assert {failure.problem.type for failure in failures} == {problem.type}
    assert "a model of many 0" in failures[0].problem.detail
    assert failures[-1].problem.title == failures[0].problem.title
    assert failures[-1].parked == parked.id


@pytest.mark.parametrize(("call", "kept"), [("read", False), ("replace", False), ("swap", True)])
async def test_what_is_not_promised_is_withdrawn_unless_nobody_knows(call: str, kept: bool):
    class Away(MemoryStore):
        async def _step(self, called: str, key: str) -> None:
            await super()._step(called, key)
            if called == call and not key.startswith("work/"):
                raise StoreUnavailableError("away")

    objects = Away()
    with pytest.raises(StoreUnavailableError):
        await DeferredGateway(objects).accept("S1")
    assert bool(objects.objects) is kept
