"""Completion of studies whose images come one by one.

A study is complete once nothing of it is pending, no model is asked again for a reading, and either
all instances and views came that are expected of it, or none came for a while. Its document has the
state; the swap that adds an image, or ends its processing, changes it with the rest, so that it is
complete once, whatever dies.

The first image that opens a study's completion writes an entry before that swap,
``work/completion/{due}/{id}.{study_id}``, whose id the document then has. A sweep looks at the
document of each entry that is due, and completes the study, or writes the entry anew for a later
time. An entry without its document was left by a gateway that died before its swap. The entry
stands until what a complete study brings to destinations is promised.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog
from pydantic import Field

from gateway.audit.trail import name_study
from gateway.errors import StudyBeingDeletedError, UnreadableDocumentError
from gateway.results.documents import Completion
from gateway.results.search_attributes import study_attributes
from gateway.results.view import is_awaited
from gateway.schemas.routing_rules import NO_COMPLETION
from gateway.schemas.stored_document import StoredDocument
from gateway.storage.documents import create_document
from gateway.storage.layout import COMPLETION
from gateway.work.keys import WorkId, entry_key, of_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.results.documents import StudyRecord
    from gateway.results.held_studies import HeldStudies, Promises
    from gateway.results.study_documents import StudyDocuments
    from gateway.schemas.result import ModelVersion
    from gateway.schemas.routing_rules import RuleCompletion
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

# Whoever has been opening a completion for so long has died over it.
_ABANDONED = dt.timedelta(hours=1)
# Of a study that is quiet, and whose images are not processed yet.
_LOOK_AGAIN = dt.timedelta(seconds=15)
# To which entries have their times: one that is written anew must be another.
_SECOND = dt.timedelta(seconds=1)


class CompletionEntry(StoredDocument):
    """Entry of a completion; its key says which study is looked at, and when."""

    schema_: Literal["radstream.completion/1"] = Field("radstream.completion/1", alias="schema")


@dataclass(frozen=True, slots=True)
class Arrival:
    """Arrival of an image that a study is to be complete with.

    Parameters
    ----------
    work
        Name of the completion that it opens, where none is open.
    at
        Time of it.
    expected
        Number of the study's instances, where a rule or its sender says it.
    rule
        Completion of the study, as far as rules say it.
    readings
        SHA-256 and model of each reading that is to be made; None where that is not known.
    """

    work: WorkId
    at: dt.datetime
    expected: int | None
    rule: RuleCompletion = NO_COMPLETION
    readings: frozenset[tuple[str, ModelVersion]] | None = None

    @property
    def holds(self) -> bool:
        """Return True if results of an incomplete study are held back."""
        return self.rule.if_incomplete == "hold"

    def opens(self, record: StudyRecord | None) -> bool:
        """Return True if it is to begin a completion of a study that has none open."""
        return not is_open(record) and not self.repeats(record)

    def repeats(self, record: StudyRecord | None) -> bool:
        """Return True if it brings a complete study nothing that was not read before."""
        if record is None or self.readings is None or record.completion is None or is_open(record):
            return False
        return self.readings <= {(reading.sha256, reading.model) for reading in record.readings}


class NoCompletionOpenError(Exception):
    """The study's completion is over, and the arrival has no entry for another."""


def is_open(record: StudyRecord | None) -> bool:
    """Return True if a study waits for its completion."""
    completion = None if record is None else record.completion
    return completion is not None and completion.completed_at is None


def arrived(record: StudyRecord, arrival: Arrival, *, has_entry: bool) -> Completion:
    """Return the completion of a record with an arrival.

    One that comes late opens it again, unless it brings what was read before.

    Raises
    ------
    NoCompletionOpenError
    """
    before = record.completion
    if before is not None and before.completed_at is None:
        expected = [number for number in (before.expected, arrival.expected) if number]
        last_at = max(before.last_instance_at, arrival.at)
        return before.model_copy(
            update={
                "last_instance_at": last_at,
                "expected": max(expected, default=None),
                "quiet_s": arrival.rule.quiet_s or before.quiet_s,
                "expected_views": arrival.rule.expected_views or before.expected_views,
                "holds": arrival.holds or before.holds,
            }
        )
    if before is not None and arrival.repeats(record):
        return before
    if not has_entry:
        raise NoCompletionOpenError
    return Completion(
        work=arrival.work.id,
        last_instance_at=arrival.at,
        expected=arrival.expected,
        quiet_s=arrival.rule.quiet_s,
        expected_views=arrival.rule.expected_views,
        holds=arrival.holds,
        reopened=0 if before is None else before.reopened + 1,
    )


def counted(record: StudyRecord, by: str | None) -> StudyRecord:
    """Return the record, complete where all that is expected of it is processed.

    Parameters
    ----------
    by
        Id of the submission that ends with it.
    """
    completion = record.completion
    if completion is None or not is_open(record) or _waits(record):
        return record
    if not completion.expected and not completion.expected_views:
        return record
    if any(missing_of(record)):
        return record
    return _completed(record, completion, by or completion.work, counted=True)


def missing_of(record: StudyRecord) -> tuple[int, tuple[str, ...]]:
    """Return the number of instances, and the views, that are expected and did not come.

    An image that failed has come; its view is one that nothing was read of.
    """
    completion, found = record.completion, study_attributes(record)
    if completion is None:
        return 0, ()
    failed = sum(item.images for item in record.failed)
    open_images = len(record.open_images) + len(record.open_images_left_out)
    came = sum(found.series.values()) + failed + open_images
    views = tuple(view for view in completion.expected_views if view not in found.views)
    return max(0, (completion.expected or 0) - came), views


class Completions:
    """Completions of all studies on one store.

    Parameters
    ----------
    objects, documents
        The store, and the studies on it.
    quiet_s
        Seconds since its last image after which a study is complete.
    routes
        Routes of studies that complete.
    held
        Keeps those that are held back.
    metrics, pseudonyms
        Told of completions; stand for studies in the log.
    """

    def __init__(
        self,
        objects: ObjectStore,
        documents: StudyDocuments,
        *,
        quiet_s: float,
        routes: Collection[str],
        held: HeldStudies,
        metrics: Metrics,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._objects = objects
        self._documents = documents
        self._quiet = dt.timedelta(seconds=quiet_s)
        self._routes = routes
        self._held = held
        self._metrics = metrics
        self._pseudonyms = pseudonyms
        self._promises: Promises | None = None

    def follow(self, promises: Promises) -> None:
        """Have the deliveries of each complete study promised from now on."""
        self._promises = promises
        self._held.follow(promises)

    def arrival(
        self,
        work: WorkId,
        route: str,
        expected: int | None,
        rule: RuleCompletion = NO_COMPLETION,
        readings: frozenset[tuple[str, ModelVersion]] | None = None,
    ) -> Arrival | None:
        """Return the arrival that a submission is; None on a route whose studies do not complete.

        Its completion has the submission's name.

        Parameters
        ----------
        expected
            Number of the study's instances, where its sender says it; a rule's counts before it.
        readings
            See `Arrival`.
        """
        if route not in self._routes:
            return None
        return Arrival(work, work.received_at, rule.expected_instances or expected, rule, readings)

    async def open(self, arrival: Arrival) -> None:
        """Write the entry of a completion, before the document has it."""
        await self._write(arrival.work, arrival.at + self._quiet_of(arrival.rule.quiet_s))

    async def sweep(self) -> None:
        """Complete the studies that are quiet."""
        now = dt.datetime.now(dt.UTC)
        for key in await self._objects.keys(COMPLETION):
            found = of_entry(COMPLETION, key)
            if found is None:
                continue
            work, due = found
            if due > now:
                break
            try:
                await self._look(work, due, now)
            except (StudyBeingDeletedError, UnreadableDocumentError):
                await self._objects.purge(key)  # the latter is logged, and has no state to keep

    def ended(self, record: StudyRecord, by: str) -> None:
        """Tell of a completion that was ended by this submission, and have it promised soon."""
        completion = record.completion
        if completion is not None and completion.completed_at and completion.ended_by == by:
            self.tell(record, by)
            if self._promises is not None:
                self._promises.note(record.study_id)

    def tell(self, record: StudyRecord, by: str) -> None:
        """Tell of a completion that was ended by this piece of work."""
        completion = record.completion
        if completion is None or completion.completed_at is None or completion.ended_by != by:
            return
        how = "count" if completion.counted else "quiet"
        self._metrics.backlog.studies_complete.labels(how).inc()
        study_ref = self._pseudonyms.study_ref(record.study_id)
        log.info("study.all_arrived", study_ref=study_ref, by=how, reopened=completion.reopened)
        if completion.missing_instances or completion.missing_views:
            action = "hold" if completion.holds else "deliver"
            self._metrics.backlog.studies_incomplete.labels(action).inc()
            log.warning(
                "study.incomplete",
                study_ref=study_ref,
                missing_instances=completion.missing_instances,
                missing_views=completion.missing_views,
                action=action,
            )

    async def _look(self, work: WorkId, due: dt.datetime, now: dt.datetime) -> None:
        """Complete a study, or look again later."""
        seen = await self._documents.read(work.study_id)
        record = seen.open_record()
        completion = None if record is None else record.completion
        if record is None or completion is None or completion.work != work.id:
            if now - work.received_at < _ABANDONED:
                return  # it may be opened now
        elif completion.completed_at is None:
            quiet = self._quiet_of(completion.quiet_s)
            quiet_at = completion.last_instance_at + quiet
            if _waits(record) or now < quiet_at:
                again = max(quiet_at, now + min(quiet, _LOOK_AGAIN))
                await self._write(work, max(again, due + _SECOND))
            else:
                name_study(work.study_id)
                record = await self._documents.change_known(work.study_id, self._ended(work), seen)
                if is_open(record):  # an image came meanwhile
                    await self._write(work, max(now + quiet, due + _SECOND))
                self.tell(record, work.id)
        if record is not None and not is_open(record):
            await self._held.settle(record)
            if self._promises is not None:
                await self._promises.promise(record)
        await self._objects.purge(entry_key(COMPLETION, work, due))

    def _ended(self, work: WorkId) -> Callable[[StudyRecord], StudyRecord]:
        """Return the change that completes a study, if it still is quiet."""

        def change(record: StudyRecord) -> StudyRecord:
            completion = record.completion
            if completion is None or completion.work != work.id or _waits(record):
                return record
            now = dt.datetime.now(dt.UTC)
            quiet = self._quiet_of(completion.quiet_s)
            if completion.completed_at or now < completion.last_instance_at + quiet:
                return record
            return _completed(record, completion, work.id)

        return change

    def _quiet_of(self, seconds: float | None) -> dt.timedelta:
        return self._quiet if seconds is None else dt.timedelta(seconds=seconds)

    async def _write(self, work: WorkId, due: dt.datetime) -> None:
        key = entry_key(COMPLETION, work, due)
        await create_document(self._objects, key, CompletionEntry())


def _waits(record: StudyRecord) -> bool:
    """Return True if images are yet to be processed, or models asked again."""
    return bool(record.pending) or any(map(is_awaited, record.missing_readings))


def _completed(
    record: StudyRecord, completion: Completion, by: str, *, counted: bool = False
) -> StudyRecord:
    instances, views = missing_of(record)
    ended = completion.model_copy(
        update={
            "completed_at": dt.datetime.now(dt.UTC),
            "ended_by": by,
            "counted": counted,
            "missing_instances": instances,
            "missing_views": views,
            "held": completion.holds and bool(instances or views),
        }
    )
    return record.changed(completion=ended)
