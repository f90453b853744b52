"""Promised work on a store, and what does it, as a gateway puts it together."""

import asyncio
import datetime as dt
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gateway.deferred.submitted_images import SubmittedImages
from gateway.problems import problem_of
from gateway.results.documents import StudyRecord
from gateway.results.keys import submitted_key
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.submissions import StudySubmissions, without
from gateway.runtime.concurrency import both
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.problem import Problem
from gateway.schemas.routing_rules import Lane
from gateway.storage.layout import READINGS, SUBMISSIONS
from gateway.storage.protocol import ObjectStore
from gateway.studies.owed_readings import ReadingPromises
from gateway.work.claims import Claims
from gateway.work.documents import OwedReadings, Submission, SubmittedPart
from gateway.work.entries import Entries, Entry
from gateway.work.keys import WorkId, to_the_second
from gateway.work.parked import Parking
from gateway.work.parked_operations import ParkedWork
from gateway.work.worker import Worker
from tests.support.readings import NOON

PIXELS = b"pixels"
SHA256 = hashlib.sha256(PIXELS).hexdigest()
JOB = Submission(received_at=NOON, parts=(), image_bytes=len(PIXELS), context={})


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

    async def perform(self, work: WorkId, document: Submission, deadline: Deadline) -> None:
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

    async def failed(self, work: WorkId, document: Submission, problem: Problem) -> None:
        del work, document
        self.failures.append(problem.type.rpartition(":")[2])

    async def ended(self, work: WorkId, document: Submission) -> None:
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
        self.images = SubmittedImages(objects, self.documents)
        self.entries = submissions_on(objects, self.images, claims)
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

    async def write(self, work: WorkId) -> Entry[Submission] | None:
        """Write what is there before the promise."""
        submission = submission_of(work)
        entry, _ = await both(
            self.entries.add(work, submission),
            self.images.write(work, submission, dict.fromkeys(("image", "report"), PIXELS)),
        )
        return entry

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


def submission_of(work: WorkId) -> Submission:
    """Return a submission of an image and of a file that no model can read."""
    image = SubmittedPart(part="image", object=image_name(work), sha256=SHA256)
    return JOB.model_copy(update={"parts": (image, SubmittedPart(part="report", object="image-2"))})


def image_name(work: WorkId) -> str:
    return f"image-{hashlib.sha256(work.id.encode()).hexdigest()[:8]}.png"


def image_keys(work: WorkId) -> set[str]:
    """Return the keys of all that a submission has."""
    return {submitted_key(work, part) for part in submission_of(work).parts}


def image_key(work: WorkId) -> str:
    return submitted_key(work, submission_of(work).parts[0])


def promises_on(objects: ObjectStore) -> ReadingPromises:
    """Promises of readings that models owe, on a store."""
    claims = Claims(lease_s=30)
    return ReadingPromises(Entries(objects, kind=READINGS, document=OwedReadings, claims=claims))


def submissions_on(
    objects: ObjectStore, images: SubmittedImages, claims: Claims
) -> Entries[Submission]:
    """Entries of submissions on a store."""
    return Entries(objects, kind=SUBMISSIONS, document=Submission, claims=claims, needs=images)
