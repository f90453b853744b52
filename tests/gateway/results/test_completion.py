"""A study is complete once, and a late image opens it again, whatever dies when."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.errors import StudyBeingDeletedError
from gateway.observability.metrics import Metrics
from gateway.results.completion import (
    Arrival,
    Completions,
    NoCompletionOpenError,
    arrived,
    counted,
    is_open,
    missing_of,
)
from gateway.results.documents import (
    Completion,
    FailedImages,
    MissingReading,
    PendingImages,
    StudyRecord,
)
from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstone import Closing, Reason
from gateway.schemas.result import ModelVersion
from gateway.schemas.routing_rules import RuleCompletion
from gateway.storage.layout import COMPLETION
from gateway.work.keys import WorkId
from tests.support.completion import Promised, completions_on
from tests.support.gateway import until
from tests.support.readings import reading
from tests.support.store import MemoryStore, MortalStore

NOW = dt.datetime.now(dt.UTC)
LONG_AGO = NOW - dt.timedelta(hours=2)
ONE, TWO = reading(1), reading(2)


def arrival(at: dt.datetime = NOW, expected: int | None = None) -> Arrival:
    return Arrival(WorkId.new("S1", at), at, expected)


def begun(**news: Any) -> StudyRecord:
    return StudyRecord.begun("S1").changed(**news)


class Store:
    """Gateways on one store; each image of the study is processed as soon as it is accepted."""

    def __init__(self) -> None:
        self.objects = MemoryStore()
        self.metrics = Metrics(CollectorRegistry())

    def completions(self, objects: MemoryStore | None = None, quiet_s: float = 60.0) -> Completions:
        return completions_on(objects or self.objects, quiet_s=quiet_s, metrics=self.metrics)

    async def add(self, arrival: Arrival, objects: MemoryStore | None = None, **news: Any) -> None:
        """Accept an image as `Submissions.accept` does."""
        objects = objects or self.objects
        documents = StudyDocuments(objects)
        await self.completions(objects).open(arrival)

        def change(record: StudyRecord | None) -> StudyRecord:
            record = record or StudyRecord.begun("S1")
            return record.changed(completion=arrived(record, arrival, has_entry=True), **news)

        await documents.change("S1", change)

    async def completion(self) -> Completion:
        record = (await StudyDocuments(self.objects).read("S1")).record
        assert record is not None
        assert record.completion is not None
        return record.completion

    async def entries(self) -> list[str]:
        return list(await self.objects.keys(COMPLETION))

    def told(self) -> float:
        return self.metrics.backlog.studies_complete.labels("quiet")._value.get()


@pytest.fixture
def store() -> Store:
    return Store()


async def test_a_quiet_study_is_complete_once(store: Store):
    await store.add(arrival(LONG_AGO))
    for _ in range(3):
        await store.completions().sweep()
    completion = await store.completion()
    assert completion.completed_at is not None
    assert (completion.counted, completion.reopened) == (False, 0)
    assert await store.entries() == []
    assert store.told() == 1


async def test_a_study_that_is_not_quiet_is_looked_at_again(store: Store):
    now = dt.datetime.now(dt.UTC)
    await store.add(arrival(LONG_AGO))
    await store.add(arrival(now))  # its own entry is due later, and in vain
    await store.completions().sweep()
    assert (await store.completion()).completed_at is None
    dues = [key.split("/")[2] for key in await store.entries()]
    assert len(dues) == 2
    assert min(dues) > f"{now:%Y%m%dT%H%M%S}"


async def test_a_quiet_time_of_less_than_a_second_is_kept(store: Store):
    brief, came = store.completions(quiet_s=0.3), arrival(dt.datetime.now(dt.UTC))
    await store.add(came)
    for key in await store.entries():  # of a minute
        await store.objects.purge(key)
    await brief.open(came)

    async def is_complete() -> bool:
        await brief.sweep()
        return (await store.completion()).completed_at is not None

    await until(is_complete, timeout_s=10)


async def test_a_study_with_images_that_wait_is_not_complete(store: Store):
    await store.add(arrival(LONG_AGO), pending=(PendingImages(id="a", images=1),))
    await store.completions().sweep()
    assert (await store.completion()).completed_at is None
    [entry] = await store.entries()
    assert entry.split("/")[2] > f"{NOW:%Y%m%dT%H%M%S}"


async def test_a_late_image_opens_it_again(store: Store):
    await store.add(arrival(LONG_AGO))
    await store.completions().sweep()
    await store.add(arrival(LONG_AGO + dt.timedelta(minutes=10)))
    reopened = await store.completion()
    assert (reopened.completed_at, reopened.reopened) == (None, 1)
    await store.completions().sweep()
    assert (await store.completion()).completed_at is not None
    assert await store.entries() == []
    assert store.told() == 2


@pytest.mark.parametrize(
    ("brings", "reopened"),
    [
        ({(ONE.sha256, ONE.model)}, 0),
        ({(ONE.sha256, ONE.model), (TWO.sha256, TWO.model)}, 1),
        ({(ONE.sha256, ModelVersion(name="cxr", version="2"))}, 1),
        (None, 1),
    ],
)
async def test_what_was_read_before_opens_nothing(
    store: Store, brings: set[tuple[str, ModelVersion]] | None, reopened: int
):
    await store.add(arrival(LONG_AGO), readings=(ONE,))
    await store.completions().sweep()
    before = await store.completion()
    again = arrival(LONG_AGO + dt.timedelta(minutes=10))
    readings = None if brings is None else frozenset(brings)
    await store.add(replace(again, readings=readings))
    after = await store.completion()
    assert after.reopened == reopened
    assert (after == before) is not bool(reopened)


def test_a_repetition_counts_while_a_study_is_open():
    again = replace(arrival(), readings=frozenset([(ONE.sha256, ONE.model)]))
    waits = begun(readings=(ONE,), completion=Completion(work="a", last_instance_at=LONG_AGO))
    assert not again.repeats(waits)
    assert arrived(waits, again, has_entry=False).last_instance_at == NOW
    assert not again.repeats(None)


async def test_an_entry_whose_study_never_was_goes_after_a_while(store: Store):
    await store.completions().open(arrival(dt.datetime.now(dt.UTC) - dt.timedelta(minutes=30)))
    await store.completions().open(arrival(LONG_AGO))
    await store.completions().sweep()
    assert len(await store.entries()) == 1


async def test_of_a_deleted_study_nothing_is_left(store: Store):
    await store.add(arrival(LONG_AGO))
    closing = Closing(study_id="S1", requested_at=NOW, reason=Reason.REQUEST)
    await StudyDocuments(store.objects).close(closing, lambda asked, _: asked)
    await store.completions().sweep()
    assert await store.entries() == []
    with pytest.raises(StudyBeingDeletedError):
        (await StudyDocuments(store.objects).read("S1")).open_record()


@pytest.mark.parametrize("dies_at", range(8))
async def test_a_gateway_may_die_at_any_step(store: Store, dies_at: int):
    dying = MortalStore(store.objects.objects, dies_at)
    await dying.kills(store.add(arrival(LONG_AGO), dying))
    await store.add(arrival(LONG_AGO))  # sent again: it was answered with success by nobody
    dying = MortalStore(store.objects.objects, dies_at)
    await dying.kills(store.completions(dying).sweep())
    await store.completions().sweep()
    completion = await store.completion()
    assert completion.completed_at is not None
    assert completion.reopened == 0
    await store.completions().sweep()
    assert await store.completion() == completion
    assert await store.entries() == []


def test_all_that_a_sender_told_of_is_complete_without_a_wait():
    opened = begun(completion=arrived(begun(), arrival(expected=2), has_entry=True))
    assert is_open(counted(opened, "a"))
    failed = FailedImages(id="b", images=2, attempts=1, failed_at=NOW, problem="x")
    waiting = opened.changed(failed=(failed,), pending=(PendingImages(id="c", images=1),))
    assert is_open(counted(waiting, "a"))
    complete = counted(waiting.changed(pending=()), "a")
    assert not is_open(complete)
    assert complete.completion is not None
    assert (complete.completion.counted, complete.completion.ended_by) == (True, "a")


def test_the_largest_number_that_came_counts():
    first = begun(completion=arrived(begun(), arrival(expected=3), has_entry=True))
    second = arrived(first, arrival(LONG_AGO, expected=2), has_entry=False)
    assert (second.expected, second.last_instance_at) == (3, NOW)


def test_without_an_entry_none_is_opened():
    with pytest.raises(NoCompletionOpenError):
        arrived(begun(), arrival(), has_entry=False)


async def test_a_quiet_time_that_rules_give_counts_before_the_settings(store: Store):
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=30)
    brief = Arrival(WorkId.new("S1", at), at, None, RuleCompletion(quiet_s=5))
    await store.add(brief)
    await store.completions(quiet_s=3600).sweep()
    assert (await store.completion()).completed_at is not None


async def test_a_longer_quiet_time_of_the_rules_is_waited_for(store: Store):
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=90)
    await store.add(Arrival(WorkId.new("S1", at), at, None, RuleCompletion(quiet_s=3600)))
    await store.completions(quiet_s=60).sweep()
    assert (await store.completion()).completed_at is None
    await store.add(arrival(at))  # an image of which no rule says it keeps what was said
    assert (await store.completion()).quiet_s == 3600


def test_a_study_that_owes_readings_waits_for_them():
    owed = MissingReading(sha256="0", name="m", problem="x", since=NOW, work="w")
    completion = Completion(work="a", last_instance_at=NOW, expected=1)
    readings = (reading(1, series_instance_uid="1.2"),)
    record = begun(completion=completion, readings=readings, images=1, missing_readings=(owed,))
    assert counted(record, None).completion == completion
    done = counted(record.changed(missing_readings=()), "w").completion
    assert done is not None
    assert (done.completed_at is not None, done.ended_by) == (True, "w")


def test_a_study_is_complete_with_the_views_that_a_rule_expects():
    rule = RuleCompletion.model_validate({"expected_views": ["PA", "LATERAL"]})
    came = Arrival(WorkId.new("S1", NOW), NOW, None, rule)
    readings = (reading(1, metadata={"view": "PA"}), reading(2, metadata={"view": "LATERAL"}))
    opened = begun(completion=arrived(begun(), came, has_entry=True), readings=readings[:1])
    assert missing_of(opened) == (0, ("LATERAL",))
    assert is_open(counted(opened, "a"))
    assert not is_open(counted(opened.changed(readings=readings), "a"))


async def test_a_study_that_ends_incomplete_tells_so_and_is_delivered(store: Store):
    promises = Promised()
    await store.add(arrival(LONG_AGO, expected=3), readings=(reading(1, series_instance_uid="1"),))
    completions = store.completions()
    completions.follow(promises)
    await completions.sweep()
    completion = await store.completion()
    assert (completion.missing_instances, completion.held) == (2, False)
    assert promises.studies == ["S1"]
    incomplete = store.metrics.backlog.studies_incomplete
    assert incomplete.labels("deliver")._value.get() == 1
