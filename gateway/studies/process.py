"""One use case behind every way in: a study from its admission to its stored result.

The order stands here once:

1. **Admission.** The study gets its place and room for its bytes (`gateway.admission`). Whoever
   waits at a connection is refused at once when the gateway is full; what comes in the background
   waits for its turn, and keeps a pace that leaves the others their time.
2. **Bytes.** The way in brings the document and the files, within that room.
3. **Identity.** `Intake` makes the study of them; what else the way in knows of it is held to it.
4. **Pipeline.** Model, pixels, inference, findings, store; telemetry is told of every stage
   (`gateway.studies.recorder`, `gateway.studies.pipeline`).
5. **Audit.** Every step names its study to the act that it is a part of: a request's or a
   delivery's, recorded where that ends. Work that is part of neither is recorded here.

A way in writes one coroutine, which brings its bytes, and a `StudySource` that says where they
come from.
"""

from __future__ import annotations

import datetime as dt
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from gateway.audit.trail import GATEWAY
from gateway.observability.library_warnings import one_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from gateway.admission.admission import Admission, Slot
    from gateway.admission.tenant_quota import TenantQuota
    from gateway.audit.trail import Audit
    from gateway.models.registry import ModelRegistry
    from gateway.runtime.deadline import Deadline
    from gateway.studies.answer import Answer
    from gateway.studies.intake import Intake
    from gateway.studies.study import Route, Study


class Turn(Enum):
    """Ways in which a study gets its place among those at work."""

    AT_ONCE = auto()  # refused where there is none; held while its bytes come, unless slowly
    IN_LINE = auto()  # waited for before its bytes are brought
    HELD = auto()  # by what the study is a part of


@dataclass(frozen=True, slots=True)
class Received:
    """A document and files, as a way in brought them.

    Parameters
    ----------
    document, files, received_at
        See `Intake.study`.
    """

    document: bytes | memoryview | None
    files: Sequence[tuple[str, bytes | memoryview]]
    received_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    @property
    def size(self) -> int:
        """Bytes of the document and the files."""
        return len(self.document or b"") + sum(len(data) for _, data in self.files)


@dataclass(frozen=True, slots=True)
class StudySource:
    """A way in, as one study comes by it.

    Parameters
    ----------
    route, caller
        The route, and the caller's label.
    share
        The caller whose share of the gateway it takes.
    turn
        The way to its place among those at work.
    receive
        Brings the document and the files, and holds their bytes in the slot.
    awaited
        True if its sender waits for the result: then the models are asked before anything is
        read, and a backend that died is waited for; see `Pipeline.process`.
    check
        Holds the study to what else is known of it; returns it, completed by that.
    corrects
        True if the sender may correct the identity of a study.
    operation
        Name in the audit trail, where no request and no delivery goes on record for it.
    is_new
        False of what was accepted before: no quota counts it twice.
    """

    route: Route
    caller: str
    share: str
    turn: Turn
    receive: Callable[[Slot], Awaitable[Received]]
    awaited: bool = False
    check: Callable[[Study], Awaitable[Study]] | None = None
    corrects: bool = False
    operation: str | None = None
    is_new: bool = True


class StudyPipeline(Protocol):
    """The way of a study whose identity is known; see `Pipeline`."""

    async def process(self, study: Study, deadline: Deadline, *, awaited: bool = False) -> Answer:
        """Return what became of the study; an image that was processed before is only looked up."""
        ...


class StudyProcessor:
    """The use case.

    Parameters
    ----------
    admission, models, intake, pipeline, audit
        The steps.
    quota
        Quota of the tenant whose studies they are; None without tenants.
    """

    def __init__(
        self,
        *,
        admission: Admission,
        models: ModelRegistry,
        intake: Intake,
        pipeline: StudyPipeline,
        audit: Audit,
        quota: TenantQuota | None = None,
    ) -> None:
        self._admission = admission
        self._quota = quota
        self._models = models
        self._intake = intake
        self._pipeline = pipeline
        self._audit = audit

    async def process(self, source: StudySource, deadline: Deadline) -> Answer:
        """Return what became of a study.

        Raises
        ------
        RadStreamError
            One of its subclasses: of the admission, of whatever brings the bytes, of `Intake.study`
            and of `Pipeline.process`.
        """
        async with self.admitted(source, deadline) as study:
            return await study.process()

    @asynccontextmanager
    async def admitted(
        self, source: StudySource, deadline: Deadline
    ) -> AsyncIterator[AdmittedStudy]:
        """Hold a study's place and its bytes during the block, in which it is processed.

        For ways in that do more with it than to have it processed.

        Raises
        ------
        InferenceUnavailableError
            The sender waits, and Triton does not answer.
        OverloadedError, QuotaExceededError
            There is no room for it.
        RadStreamError
            Of whatever brings the bytes.
        """
        if source.awaited:
            self._models.ask()
        async with self._pace(source), self._slot(source) as slot:
            received = await source.receive(slot)
            quota = self._quota if source.is_new else None
            if quota is not None and source.turn is not Turn.HELD:
                quota.count(size=received.size)
            if source.turn is Turn.AT_ONCE:  # while its bytes come slowly it takes nobody's place
                slot.take()
            # A study that was accepted before, under the same request, was told of then.
            with one_event(repeated=True):
                yield AdmittedStudy(
                    source,
                    received,
                    deadline,
                    intake=self._intake,
                    pipeline=self._pipeline,
                    audit=self._audit,
                    quota=quota if source.turn is Turn.HELD else None,
                )

    def _pace(self, source: StudySource) -> AbstractAsyncContextManager[None]:
        """Return the context that tells those who are waited for from those who are not."""
        background = self._admission.background
        if source.awaited:
            return background.awaited()
        return background.turn() if source.turn is Turn.IN_LINE else nullcontext()

    @asynccontextmanager
    async def _slot(self, source: StudySource) -> AsyncIterator[Slot]:
        """Yield the slot of a study, which has its place unless that is taken with its bytes."""
        quota = self._quota if source.is_new else None
        place: AbstractContextManager[None] = nullcontext()
        if quota is not None and source.turn is Turn.IN_LINE:
            await quota.wait()
        with self._admission.slot(source.share) as slot:
            if source.turn is Turn.AT_ONCE:
                slot.reserve()
                place = place if quota is None else quota.place()
            elif source.turn is Turn.IN_LINE:
                await slot.wait()
            with place:
                yield slot


class AdmittedStudy:
    """A study that has its place, with its bytes in memory.

    Attributes
    ----------
    received
        The files and the document that were brought.
    study
        The study made of them; None until its identity is known.
    """

    def __init__(
        self,
        source: StudySource,
        received: Received,
        deadline: Deadline,
        *,
        intake: Intake,
        pipeline: StudyPipeline,
        audit: Audit,
        quota: TenantQuota | None,
    ) -> None:
        self.received = received
        self.study: Study | None = None
        self._source = source
        self._deadline = deadline
        self._intake = intake
        self._pipeline = pipeline
        self._audit = audit
        self._quota = quota

    async def identify(self) -> Study:
        """Return the study; see `Intake.study`."""
        source, received = self._source, self.received
        study = await self._intake.study(
            received.document,
            received.files,
            route=source.route,
            caller=source.caller,
            received_at=received.received_at,
            deadline=self._deadline,
        )
        self.study = study = replace(study, corrects=source.corrects)
        if source.check is not None:
            self.study = study = await source.check(study)
        return study

    async def process(self) -> Answer:
        """Return what became of the study; see `StudyProcessor.process`."""
        operation = self._source.operation
        recorded = nullcontext() if operation is None else self._audit.of_work(operation, GATEWAY)
        async with recorded:
            study = await self.identify()
            awaited = self._source.awaited
            answer = await self._pipeline.process(study, self._deadline, awaited=awaited)
        if self._quota is not None and not answer.replayed:  # it may come more than once
            self._quota.count(studies=1, size=self.received.size)
        return answer
