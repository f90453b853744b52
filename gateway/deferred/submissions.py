"""Studies that are answered before they are read: kept first, read by a worker, told on demand."""

from __future__ import annotations

import base64
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog

from gateway.errors import (
    DeliveryUnfinishedError,
    InferenceUnavailableError,
    NoModelAcceptsError,
    ObjectNotFoundError,
    UnreadableDocumentError,
)
from gateway.observability.tracing import continued, spanned, traceparent
from gateway.results.identity import compare, given
from gateway.runtime.concurrency import together
from gateway.schemas.result import FailedSubmission, PendingSubmission
from gateway.studies.process import Received, StudySource, Turn
from gateway.studies.refused_images import PART_ERRORS, RefusedImage, in_order, raise_all
from gateway.studies.study import Route
from gateway.work.backlog import Work
from gateway.work.documents import Submission, SubmittedPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Tracer

    from gateway.admission.admission import Slot
    from gateway.delivery.webhooks import Callbacks
    from gateway.models.registry import ModelRegistry
    from gateway.observability.metrics import Metrics
    from gateway.results.store import ResultStore
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.problem import Problem
    from gateway.studies.imaging import Imaging
    from gateway.studies.process import AdmittedStudy, StudyProcessor
    from gateway.studies.refused_images import PartError
    from gateway.studies.study import Study, StudyImage
    from gateway.work.backlog import Backlog
    from gateway.work.documents import Failure
    from gateway.work.worker import Worker

# Whose share of the gateway these studies take of when they are read.
_SHARE = "pending studies"

_CONTEXT = ("request_id",)

# Of pending work that is remembered before all of it is forgotten.
_MOST_IDENTITIES = 10_000


class Accepted(NamedTuple):
    """A submission of a study that was accepted."""

    study_id: str
    submission_id: str


class Submissions:
    """Takes studies in, and tells what became of those that are not read yet.

    Parameters
    ----------
    backlog, worker
        Where they are kept, and what processes them.
    results
        What is known of their studies.
    models, imaging
        Say what can be said of a study without decoding it.
    """

    def __init__(
        self,
        backlog: Backlog[Submission],
        worker: Worker[Submission],
        *,
        results: ResultStore,
        models: ModelRegistry,
        imaging: Imaging,
    ) -> None:
        self._backlog = backlog
        self._worker = worker
        self._results = results
        self._models = models
        self._imaging = imaging
        self._identities: dict[str, Mapping[str, str | None]] = {}

    async def accept(
        self, admitted: AdmittedStudy, callback: str | None, *, keep_unaccepted: bool = False
    ) -> Accepted:
        """Return once the study is durable, and to be processed.

        Parameters
        ----------
        callback
            Whom to tell of the end.
        keep_unaccepted
            Images that no model takes by now are accepted, too: they are parked, and can be tried
            again once there is a model.

        Raises
        ------
        UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError, NoModelAcceptsError,
        UnknownModelError
            No image can be processed, as the headers and the models' contracts say.
        StudyConflictError
            It contradicts what is stored or was accepted before.
        StudyBeingDeletedError
        StoreUnavailableError
            It is not accepted.
        RadStreamError
            What `Intake.study` raises.
        """
        study = await admitted.identify()
        await self._check_images(study, keep_unaccepted=keep_unaccepted)
        study_id = study.metadata.study_id
        await self._results.known(study.metadata)
        for work in await self._backlog.of(study_id):
            if not work.failed:
                compare(study.metadata, await self._identity(work))
        sent = study.parts
        parts = tuple(
            SubmittedPart(part=part, object=f"image-{index}") for index, part in enumerate(sent, 1)
        )
        bound, document = structlog.contextvars.get_contextvars(), admitted.received.document
        submission = Submission(
            received_at=study.received_at,
            metadata=None if document is None else base64.b64encode(document),
            identity=given(study.metadata),
            parts=parts,
            image_bytes=sum(map(len, sent.values())),
            callback=callback,
            caller=study.caller,
            route=study.route,
            context={name: bound[name] for name in _CONTEXT if name in bound},
            traceparent=traceparent(),
        )
        blobs = {part.object: sent[part.part] for part in parts}
        work = await self._backlog.add(study_id, submission, blobs)
        self._worker.take(work)
        return Accepted(study_id, work.id)

    async def keeps(self, accepted: Accepted) -> bool:
        """Return whether the images of a submission are kept, as they are until it is processed."""
        work = Work(accepted.study_id, accepted.submission_id)
        return await self._backlog.document(work) is not None

    async def _identity(self, work: Work) -> Mapping[str, str | None]:
        """Return the identity of pending work; remembered, as it is written once.

        Of a study of many instances each would else read the documents of all before it.
        """
        if (identity := self._identities.get(work.path)) is None:
            document = await self._backlog.document(work)
            identity = {} if document is None else document.identity
            if len(self._identities) >= _MOST_IDENTITIES:
                self._identities.clear()
            self._identities[work.path] = identity
        return identity

    async def studies(self, *, after: str, limit: int) -> list[str]:
        """Ids of studies of which something was accepted and is not read, beyond `after`."""
        return await self._backlog.studies(after=after, limit=limit)

    async def of(
        self, study_id: str
    ) -> tuple[tuple[PendingSubmission, ...], tuple[FailedSubmission, ...]]:
        """Return the study's submissions that are yet to be processed, and the failed ones."""
        found = await together(self._tell(work) for work in await self._backlog.of(study_id))
        return (
            tuple(item for item in found if isinstance(item, PendingSubmission)),
            tuple(item for item in found if isinstance(item, FailedSubmission)),
        )

    async def _tell(self, work: Work) -> PendingSubmission | FailedSubmission | None:
        failure = await self._backlog.failure(work) if work.failed else None
        try:
            document = await self._backlog.document(work)
        except UnreadableDocumentError:
            if failure is None:  # it will be parked for this
                raise
            return _unreadable(failure)
        if document is None:  # done since it was listed
            return None
        if failure is not None:
            return FailedSubmission(
                received_at=document.received_at,
                failed_at=failure.failed_at,
                images=len(document.parts),
                attempts=failure.attempts,
                parked=failure.parked,
                problem=failure.problem,
            )
        progress = await self._backlog.progress(work)
        return PendingSubmission(
            received_at=document.received_at,
            images=len(document.parts),
            attempts=progress.attempts,
            next_attempt_at=progress.not_before,
            problem=progress.problem,
        )

    async def _check_images(self, study: Study, *, keep_unaccepted: bool) -> None:
        """Refuse a study of which no image can be processed, as far as that is seen by now."""
        errors = await self._imaging.header_errors(study.images)
        refused = list(study.refused)
        for image in study.images:
            error: PartError | None = self._unread(image)
            if keep_unaccepted and isinstance(error, NoModelAcceptsError):
                error = None
            error = error or errors.get(image.part)
            if error is not None:
                refused.append(RefusedImage(image.part, error))
        if len(refused) == len(study.parts):
            raise_all(in_order(study.parts, refused))

    def _unread(self, image: StudyImage) -> PartError | None:
        try:
            self._models.select(image.metadata)
        except PART_ERRORS as error:
            return error
        except InferenceUnavailableError:  # it may wait for its model
            pass
        return None


class ProcessSubmission:
    """The job of reading a study that was accepted."""

    def __init__(
        self,
        backlog: Backlog[Submission],
        *,
        studies: StudyProcessor,
        callbacks: Callbacks,
        metrics: Metrics,
        tracer: Tracer,
    ) -> None:
        self._backlog = backlog
        self._studies = studies
        self._callbacks = callbacks
        self._metrics = metrics
        self._tracer = tracer

    async def perform(self, work: Work, document: Submission, deadline: Deadline) -> None:
        """Process it; see `StudyProcessor.process`."""
        request = continued(document.traceparent or "")
        route = Route(document.route)
        source = StudySource(
            route,
            document.caller,
            _SHARE,
            Turn.IN_LINE,
            partial(self._receive, work, document),
            operation="pending study: read",
        )
        with (
            structlog.contextvars.bound_contextvars(**document.context),
            spanned(self._tracer, "submission", context=request),
        ):
            answer = await self._studies.process(source, deadline)
        self._metrics.studies.tell_freshness(route, document.received_at)
        if document.callback is not None:
            await self._callbacks.announce(work, document.callback, None, answer.not_processed)

    async def failed(self, work: Work, document: Submission, problem: Problem) -> None:
        """Tell whoever wants to be told."""
        if document.callback is not None:
            await self._callbacks.announce(work, document.callback, problem)

    async def _receive(self, work: Work, document: Submission, slot: Slot) -> Received:
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
            files = [
                (part.part, await self._backlog.blob(work, part.object)) for part in document.parts
            ]
        except ObjectNotFoundError as error:
            raise DeliveryUnfinishedError("its images are gone") from error
        return Received(document.metadata, files, document.received_at)


def _unreadable(failure: Failure) -> FailedSubmission:
    """Work whose document is damaged, as far as the note of its failure tells of it."""
    return FailedSubmission(
        received_at=failure.failed_at,
        failed_at=failure.failed_at,
        images=0,
        attempts=failure.attempts,
        parked=failure.parked,
        problem=failure.problem,
    )
