"""Promised work on a store, and what does it, as a gateway puts it together."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gateway.problems import problem_of
from gateway.results.documents import StudyRecord
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.submissions import StudySubmissions, without
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.problem import Problem
from gateway.schemas.routing_rules import Lane
from gateway.storage.layout import READINGS, SUBMISSIONS
from gateway.storage.protocol import ObjectStore
from gateway.studies.owed_readings import ReadingPromises
from gateway.work.claims import Claims
from gateway.work.documents import OwedReadings, PendingCallback
from gateway.work.entries import Entries, Entry
from gateway.work.keys import WorkId, kept_folder, to_the_second
from gateway.work.parked import Parking
from gateway.work.parked_operations import ParkedWork
from gateway.work.worker import Worker

JOB = PendingCallback(url="https://example.org/")


def metadata(study_id: str, **attributes: str) -> StudyMetadata:
    document = {"study_id": study_id, "view": "AP", "timestamp": "2026-01-31T12:00:00Z"}
    return StudyMetadata.model_validate(document | attributes)


@dataclass
class Job:
    """Does what the test says, and remembers it."""

    errors: list[BaseException] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    entered: int = 0
    at_once: int = 0
    most_at_once: int = 0
    gate: asyncio.Event | None = None
    documents: StudyDocuments | None = None

    async def perform(self, work: WorkId, document: PendingCallback, deadline: Deadline) -> None:
        del document, deadline
        self.entered += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.errors:
                raise self.errors.pop()
            await self._end(work)
            self.done.append(work.id)
        finally:
            self.at_once -= 1

    async def _end(self, work: WorkId) -> None:
        """Swap the study's document, as the readings of a submission do."""

        def change(record: StudyRecord | None) -> StudyRecord:
            record = record or StudyRecord.begun(work.study_id)
            return record.changed(pending=without(record, work.id), images=record.images + 1)

        assert self.documents is not None
        await self.documents.change(work.study_id, change)

    async def failed(self, work: WorkId, document: PendingCallback, problem: Problem) -> None:
        del work, document
        self.failures.append(problem.type.rpartition(":")[2])

    async def ended(self, work: WorkId, document: PendingCallback) -> None:
        del document
        self.ends.append(work.id)


class Works:
    """One gateway's work, as far as it is kept in a store."""

    def __init__(self, objects: ObjectStore, job: Job, **changes: Any) -> None:
        self.objects = objects
        self.documents = job.documents = StudyDocuments(objects)
        self.states = StudySubmissions(self.documents)
        claims = Claims(
            lease_s=changes.pop("lease_s", 30.0), presence=changes.pop("presence", None)
        )
        self.entries = Entries(objects, kind=SUBMISSIONS, document=PendingCallback, claims=claims)
        self.counts: list[int] = []
        self.moments: list[Sequence[dt.datetime]] = []
        self.parking = Parking(objects, problem_of)
        options: dict[str, Any] = {"at_once": 4, "sweep_s": 0.02, "timeout_s": 20}
        self.worker = Worker(
            self.entries,
            self.states,
            job,
            parking=self.parking,
            problem_of=problem_of,
            count=self._count,
            **options | {"give_up_s": 3600.0} | changes,
        )
        self.parked = ParkedWork(self.parking, self.entries, self.states, self.worker)

    def _count(self, moments: Sequence[dt.datetime]) -> None:
        self.counts.append(len(moments))
        self.moments.append(moments)

    async def write(self, work: WorkId) -> Entry[PendingCallback] | None:
        """Write what is there before the promise."""
        return await self.entries.add(work, JOB, {"image-1": b"pixels"})

    async def promise(self, work: WorkId, **attributes: str) -> StudyRecord:
        return await self.states.promise(work, metadata(work.study_id, **attributes), 1, Seen())

    async def add(self, study_id: str = "S1", lane: Lane = Lane.ROUTINE) -> WorkId:
        """Promise work that nobody takes: a sweep finds it."""
        work = WorkId.new(study_id, dt.datetime.now(dt.UTC), lane)
        await self.write(work)
        await self.promise(work)
        return work

    def take(self, work: WorkId) -> None:
        self.worker.take(work, to_the_second(work.received_at))

    async def failure(self, work: WorkId) -> Any:
        """Return what the study's document has of failed work; None where it has nothing."""
        record = (await self.documents.read(work.study_id)).open_record()
        failed = record.failed if record is not None else ()
        return next((item for item in failed if item.id == work.id), None)


class Gateway(Works):
    """One gateway's work, being done."""

    def __init__(self, objects: ObjectStore, job: Job, **changes: Any) -> None:
        super().__init__(objects, job, **changes)
        self.task = asyncio.create_task(self.worker.run())

    async def die(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


def image_key(work: WorkId) -> str:
    return f"{kept_folder(SUBMISSIONS, work)}image-1"


def promises_on(objects: ObjectStore) -> ReadingPromises:
    """Promises of readings that models owe, on a store."""
    claims = Claims(lease_s=30)
    return ReadingPromises(Entries(objects, kind=READINGS, document=OwedReadings, claims=claims))
