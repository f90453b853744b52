"""Studies that are answered before they are processed, which a worker does."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog

from gateway.deferred.submitted_images import submitted_parts
from gateway.errors import (
    DeliveryUnfinishedError,
    InferenceUnavailableError,
    NoModelAcceptsError,
    NoRuleError,
    ObjectNotFoundError,
    RadStreamError,
    StoreError,
    StoreUnavailableError,
)
from gateway.observability.tracing import continued, spanned, traceparent
from gateway.results.completion import NoCompletionOpenError
from gateway.results.study_documents import Seen
from gateway.routing.rules import most_urgent
from gateway.runtime.concurrency import both, to_its_end
from gateway.schemas.not_processed import told
from gateway.schemas.routing_rules import NO_COMPLETION
from gateway.studies.imaging import CheckedImage
from gateway.studies.process import Received, StudySource, Turn
from gateway.studies.refused_images import (
    IMAGE_ERRORS,
    PART_ERRORS,
    RefusedImage,
    in_order,
    raise_all,
)
from gateway.studies.study import Route
from gateway.work.documents import Submission
from gateway.work.keys import WorkId, to_the_second

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.trace import Tracer

    from gateway.admission.admission import Slot
    from gateway.deferred.submitted_images import SubmittedImages
    from gateway.delivery.callbacks import Callbacks
    from gateway.observability.metrics import Metrics
    from gateway.results.completion import Arrival, Completions
    from gateway.results.documents import StudyRecord
    from gateway.results.store import ResultStore
    from gateway.results.submissions import StudySubmissions
    from gateway.routing.rules import Decision
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.problem import Problem
    from gateway.schemas.result import ModelVersion
    from gateway.studies.imaging import Imaging
    from gateway.studies.model_choice import ChosenModels, ModelChoice
    from gateway.studies.process import AdmittedStudy, StudyProcessor
    from gateway.studies.refused_images import ImageError, PartError
    from gateway.studies.study import Study
    from gateway.work.documents import SubmittedPart
    from gateway.work.entries import Entries, Entry
    from gateway.work.turns import Steps
    from gateway.work.worker import Worker

# Share of the gateway that these studies take of when they are processed.
_SHARE = "pending studies"

_CONTEXT = ("request_id",)


class Accepted(NamedTuple):
    """A submission of a study that was accepted."""

    work: WorkId
    record: StudyRecord


class Submissions:
    """The intake of studies that are processed later.

    Parameters
    ----------
    entries, worker
        Their entries, and the worker that processes them.
    results, pending
        Results of their studies, and the submissions pending in them.
    completions
        Completes studies that come image by image.
    choice, imaging
        Say what can be said of a study without decoding it.
    steps
        Steps of other studies, which give way to an urgent one from here on.
    images
        Keeps their images.
    """

    def __init__(
        self,
        entries: Entries[Submission],
        worker: Worker[Submission],
        *,
        results: ResultStore,
        pending: StudySubmissions,
        completions: Completions,
        choice: ModelChoice,
        imaging: Imaging,
        steps: Steps,
        images: SubmittedImages,
    ) -> None:
        self._entries = entries
        self._worker = worker
        self._results = results
        self._pending = pending
        self._completions = completions
        self._choice = choice
        self._imaging = imaging
        self._steps = steps
        self._images = images

    async def accept(
        self, admitted: AdmittedStudy, callback: str | None, *, keep_unaccepted: bool = False
    ) -> Accepted:
        """Return once the study is durable, and to be processed.

        Parameters
        ----------
        callback
            URL to call at the end.
        keep_unaccepted
            Images that no model takes and no rule routes by now are accepted, too: they are parked,
            and can be tried again once there is one.

        Raises
        ------
        UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError, NoModelAcceptsError,
        UnknownModelError
            No image can be processed, as the headers and the models' contracts say.
        StudyConflictError
            It contradicts what is stored or was accepted before.
        StudyBacklogFullError
            Too much of the study waits already.
        StudyBeingDeletedError
        StoreUnavailableError
            It is not accepted, as far as is known.
        RadStreamError
            See `Intake.study`.
        """
        study = await admitted.identify()
        checked = await self._imaging.checked(study.images)
        decisions, readings = await self._check_images(
            study, checked, keep_unaccepted=keep_unaccepted
        )
        completion = next(
            (each.completion for each in decisions if each.completion != NO_COMPLETION),
            NO_COMPLETION,
        )
        lane = most_urgent(decision.lane for decision in decisions)
        work = WorkId.new(study.metadata.study_id, study.received_at, lane)
        await self._pending.check_room(work.study_id)
        submission = _submission(study, checked, admitted.received.document, callback)
        with self._steps.under_way(lane):
            with self._worker.passing_over(work):
                arrival = self._completions.arrival(
                    work, study.route, study.expected_instances, completion, readings
                )
                entry, record = await self._promise(work, study, submission, arrival)
            self._worker.take(work, to_the_second(work.received_at), entry)
        return Accepted(work, record)

    async def keeps(self, work: WorkId) -> bool:
        """See `StudySubmissions.keeps`."""
        return await self._pending.keeps(work)

    async def _promise(
        self, work: WorkId, study: Study, submission: Submission, arrival: Arrival | None
    ) -> tuple[Entry[Submission] | None, StudyRecord]:
        """Return the entry of the work and the record of its study, which has it pending.

        The store is asked for the study while the images are written. What is refused then goes
        again; where an answer is lost, the gateway that finds the entry asks the document.
        """
        known = None
        try:
            (entry, _), known = await both(
                both(
                    self._entries.add(work, submission),
                    self._images.write(work, submission, study.parts),
                ),
                self._results.known(study.metadata, corrects=study.corrects),
            )
            record = await self._pend(work, study, known.seen, arrival)
        except RadStreamError as error:
            if known is None or not isinstance(error, StoreUnavailableError):
                with suppress(StoreError):
                    await to_its_end(self._withdraw(work, submission))
            raise
        return entry, record

    async def _pend(
        self, work: WorkId, study: Study, seen: Seen, arrival: Arrival | None
    ) -> StudyRecord:
        """Return the record with the submission, and with its part in the study's completion."""
        has_entry = False
        while True:
            if arrival is not None and not has_entry and arrival.opens(seen.record):
                await self._completions.open(arrival)
                has_entry = True
            try:
                return await self._pending.promise(
                    work,
                    study.metadata,
                    images=len(study.parts),
                    seen=seen,
                    corrects=study.corrects,
                    arrival=arrival,
                    has_entry=has_entry,
                )
            except NoCompletionOpenError:  # it was, as far as this gateway knew
                seen = Seen()

    async def _withdraw(self, work: WorkId, submission: Submission) -> None:
        await self._images.withdraw(work, submission)
        await self._entries.remove(work, to_the_second(work.received_at))

    async def _check_images(
        self,
        study: Study,
        checked: Mapping[str, CheckedImage | ImageError],
        *,
        keep_unaccepted: bool,
    ) -> tuple[list[Decision], frozenset[tuple[str, ModelVersion]] | None]:
        """Refuse a study of which no image can be processed, as far as that is seen by now.

        Return what follows of the rules for its images, and the readings that are to be made of
        them; None where those are not known yet.
        """
        decisions: list[Decision] = []
        readings: set[tuple[str, ModelVersion]] = set()
        are_known = len(study.images) == len(study.parts)
        refused = list(study.refused)
        for image in study.images:
            error: PartError | None = None
            chosen: ChosenModels | None = None
            try:
                decision = await self._choice.decide(study, image)
                decisions.append(decision)
                chosen = await self._choice.by(decision, image)
            except PART_ERRORS as found:
                error = found
            except InferenceUnavailableError:  # it may wait for its model
                pass
            if keep_unaccepted and isinstance(error, NoModelAcceptsError | NoRuleError):
                error = None
            header = checked[image.part]
            if chosen is None or chosen.absent or not isinstance(header, CheckedImage):
                are_known = False
            else:
                readings |= {(header.sha256, each.model.reference) for each in chosen.targets}
            if error is None and isinstance(header, IMAGE_ERRORS):
                error = header
            if error is not None:
                refused.append(RefusedImage(image.part, error))
        if len(refused) == len(study.parts):
            raise_all(in_order(study.parts, refused))
        return decisions, frozenset(readings) if are_known else None


class ProcessSubmission:
    """The job of processing a study that was accepted."""

    def __init__(
        self,
        images: SubmittedImages,
        *,
        studies: StudyProcessor,
        results: ResultStore,
        callbacks: Callbacks,
        completions: Completions,
        metrics: Metrics,
        tracer: Tracer,
    ) -> None:
        self._completions = completions
        self._images = images
        self._studies = studies
        self._results = results
        self._callbacks = callbacks
        self._metrics = metrics
        self._tracer = tracer

    async def perform(self, work: WorkId, document: Submission, deadline: Deadline) -> None:
        """Process it; see `StudyProcessor.process`."""
        request = continued(document.traceparent or "")
        route = Route(document.route)
        source = StudySource(
            route,
            document.caller,
            _SHARE,
            Turn.IN_LINE,
            partial(self._receive, work, document),
            check=partial(_of_submission, work.id, document.parts),
            operation="pending study: read",
            is_new=False,
        )
        with (
            structlog.contextvars.bound_contextvars(**document.context),
            spanned(self._tracer, "submission", context=request),
        ):
            answer = await self._studies.process(source, deadline)
        self._metrics.studies.tell_freshness(route, document.received_at, work.lane)
        if answer.record is not None:
            self._completions.ended(answer.record, work.id)
        if document.callback is not None:
            await self._callbacks.announce(work, document.callback, None, answer.not_processed)

    async def failed(self, work: WorkId, document: Submission, problem: Problem) -> None:
        """Announce the failure to the callback, if there is one."""
        if document.callback is not None:
            await self._callbacks.announce(work, document.callback, problem)

    async def ended(self, work: WorkId, document: Submission) -> None:
        """Announce the end to the callback, if there is one: maybe once more."""
        if document.callback is not None:
            record = await self._results.record(work.study_id)
            entries = () if record is None else record.open_images
            of_work = [entry for entry in entries if entry.received_at == document.received_at]
            await self._callbacks.announce(work, document.callback, None, [*map(told, of_work)])

    async def _receive(self, work: WorkId, document: Submission, slot: Slot) -> Received:
        """Return the images and their document.

        Raises
        ------
        DeliveryUnfinishedError
            They are gone, as they are when another gateway has just finished the work.
        """
        # At once: two studies that each hold some and wait for more would wait for each other, and
        # one alone gets no second half beside a first.
        await slot.wait_for_bytes(document.image_bytes)
        try:
            files = [(part.part, await self._images.read(work, part)) for part in document.parts]
        except ObjectNotFoundError as error:
            raise DeliveryUnfinishedError("its images are gone") from error
        return Received(document.metadata, files, document.received_at)


def _submission(
    study: Study,
    checked: Mapping[str, CheckedImage | ImageError],
    document: bytes | memoryview | None,
    callback: str | None,
) -> Submission:
    sent = study.parts
    uids = {image.part: image.uids.sop_instance_uid for image in study.images}
    bound = structlog.contextvars.get_contextvars()
    return Submission(
        received_at=study.received_at,
        metadata=None if document is None else base64.b64encode(document),
        parts=submitted_parts(sent, checked, uids),
        image_bytes=sum(map(len, sent.values())),
        callback=callback,
        caller=study.caller,
        route=study.route,
        context={name: bound[name] for name in _CONTEXT if name in bound},
        traceparent=traceparent(),
    )


async def _of_submission(submission: str, parts: Sequence[SubmittedPart], study: Study) -> Study:
    stored = {part.part: part for part in parts if part.sha256 is not None}
    images = tuple(
        replace(image, sha256=stored[image.part].sha256, object=stored[image.part].object)
        if image.part in stored
        else image
        for image in study.images
    )
    return replace(study, submission=submission, images=images)
