"""The way of a study: admit, decode, tensor, infer, findings, store. Every way in ends here."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog

from gateway.audit.trail import note_partial
from gateway.errors import (
    TRANSIENT,
    DeliveryUnfinishedError,
    RadStreamError,
    StudyBeingDeletedError,
    StudyConflictError,
    log_fields,
)
from gateway.problems import URN
from gateway.results.documents import MissingReading
from gateway.routing.rules import most_urgent
from gateway.runtime.concurrency import together
from gateway.schemas.metadata import PROBE_PREFIX
from gateway.schemas.not_processed import NotProcessedDocument, told
from gateway.schemas.telemetry import Stage
from gateway.studies.answer import Answer
from gateway.studies.canary_outcomes import note_failure, note_outcomes
from gateway.studies.readings import distinct, image_reading, key_of, told_verdict, withheld
from gateway.studies.recorder import in_common
from gateway.studies.refused_images import PART_ERRORS, in_order, raise_all
from gateway.studies.taken_images import ImageIntake, new_images, refusal, request_of, sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from gateway.monitoring.minutes import MinuteCounts
    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.results.documents import FrameReading, Reading
    from gateway.results.image_writes import ImageWrites
    from gateway.results.joins import Request as ResultRequest
    from gateway.results.store import Added, Known, ResultStore
    from gateway.routing.canary_watch import CanaryWatch
    from gateway.runtime.deadline import Deadline
    from gateway.studies.imaging import Imaging
    from gateway.studies.inference import Inference
    from gateway.studies.model_choice import ChosenModels, ModelChoice
    from gateway.studies.owed_readings import ReadingPromises
    from gateway.studies.readings import FreshImage, MissedReading
    from gateway.studies.recorder import StudyRecorder
    from gateway.studies.refused_images import RefusedImage
    from gateway.studies.shadow_queue import ShadowQueue
    from gateway.studies.stage_timer import Stages
    from gateway.studies.study import Study
    from gateway.studies.taken_images import TakenImage
    from gateway.work.keys import WorkId
    from gateway.work.turns import Steps

    Made = list[tuple[FreshImage, list[FrameReading]]]

log = structlog.get_logger()


class _Way(NamedTuple):
    """Time, turns and sender's patience of a study on its way; see `Pipeline.process`."""

    deadline: Deadline
    stages: Stages
    turn: Callable[[], AbstractAsyncContextManager[None]]
    awaited: bool


class Pipeline:
    """The pipeline of studies; it knows no transport and no vendor."""

    def __init__(
        self,
        *,
        choice: ModelChoice,
        inference: Inference,
        imaging: Imaging,
        results: ResultStore,
        promises: ReadingPromises,
        shadows: ShadowQueue,
        canaries: CanaryWatch,
        minutes: MinuteCounts,
        steps: Steps,
        metrics: Metrics,
        pseudonyms: Pseudonyms,
        recorder: StudyRecorder,
    ) -> None:
        self._choice = choice
        self._inference = inference
        self._imaging = imaging
        self._images = ImageIntake(imaging, results)
        self._results = results
        self._promises = promises
        self._shadows = shadows
        self._canaries = canaries
        self._minutes = minutes
        self._steps = steps
        self._metrics = metrics
        self._pseudonyms = pseudonyms
        self._recorder = recorder

    async def process(self, study: Study, deadline: Deadline, *, awaited: bool = False) -> Answer:
        """Read the study's images and store what was found.

        Nothing is written before every image that can be processed has been decoded and read.

        Parameters
        ----------
        awaited
            True if the sender waits for the answer: then a backend that died is waited for until
            it is reloaded. Work in the background gives its turn to other work and comes again.

        Raises
        ------
        RadStreamError
            One of its subclasses; `gateway.problems` says what each means to the sender.
        """
        study_ref = self._pseudonyms.study_ref(study.metadata.study_id)
        with (
            self._metrics.studies.in_flight.track_inprogress(),
            self._recorder.of(study) as stages,
        ):
            try:
                async with deadline.bounds("study"):
                    answer = await self._process(study, deadline, stages, awaited=awaited)
            except asyncio.CancelledError:
                self._count(study, "cancelled")
                raise
            except RadStreamError as error:
                self._count(study, error.label)
                log.info(
                    "study.failed",
                    study_ref=study_ref,
                    route=study.route,
                    images=len(study.images),
                    **log_fields(error),
                    **stages.log_fields(),
                )
                raise
        if answer.is_partial:
            note_partial()
        self._count(study, answer.outcome)
        log.info(
            "study.completed",
            study_ref=study_ref,
            route=study.route,
            outcome=answer.outcome,
            images=len(study.parts),
            not_processed=[item.problem.type for item in answer.not_processed] or None,
            missed=[item.name for item in answer.missed] or None,
            image_bytes=sum(map(len, study.parts.values())),
            models=sorted(answer.models),
            replayed=answer.replayed,
            **stages.log_fields(),
        )
        return answer

    async def _process(
        self, study: Study, deadline: Deadline, stages: Stages, *, awaited: bool
    ) -> Answer:
        with ExitStack() as stack:
            with stages.time(Stage.ADMIT):
                chosen, refused = await self._choose(study, deadline if awaited else None)
                lane = most_urgent(each.decision.lane for each in chosen)
                stack.enter_context(self._steps.under_way(lane))
                targets = [target for each in chosen for target in each.targets]
                stages.model = in_common(target.model.reference for target in targets)
                known = await self._results.known(
                    study.metadata, study.seen, corrects=study.corrects
                )
            way = _Way(deadline, stages, partial(self._steps.turn, lane, study.caller), awaited)
            return await self._read(study, chosen, refused, known, way)

    async def _read(
        self,
        study: Study,
        chosen: Sequence[ChosenModels],
        refused: Sequence[RefusedImage],
        known: Known,
        way: _Way,
    ) -> Answer:
        """Return what became of a study whose models are known."""
        stages = way.stages
        async with way.turn():
            taken, refused = await self._prepare(
                study, chosen, refused, known, deadline=way.deadline, stages=stages
            )
        images = new_images(taken)
        writes = self._results.write_images(study.metadata.study_id, images)
        is_probe = study.metadata.study_id.startswith(PROBE_PREFIX)
        minutes = None if is_probe else self._minutes
        made: Made = []
        failed: list[MissedReading] = []
        try:
            if images:
                async with way.turn():
                    with stages.time(Stage.INFER):
                        made, failed = await self._inference.read_images(
                            taken, way.deadline, awaited=way.awaited
                        )
        except BaseException as error:
            note_failure(self._canaries, minutes, taken, error)
            await writes.remove()
            raise
        with stages.time(Stage.STORE):
            names = {image.sha256: name for image, name in zip(images, writes.names, strict=True)}
            read = {
                key_of(item): image_reading(study, item, names[item.sha256], frames, stages)
                for item, frames in made
            }
            fresh = [withheld(reading) for reading in read.values()]
            entries = await self._entries(study, refused, taken)
            missed = [*(item for each in taken for item in each.missed), *failed]
            promised = await self._promise(study, missed)
            owed = [self._owed(study, item, promised) for item in missed]
            request = request_of(study, taken, fresh, owed, entries)
            added = await self._store(request, known, writes, promised)
            stages.first_received_at = _first_received_at(study, added.sent)
        # Where another gateway was first, that one counts.
        first = [item for item in added.readings if item.object in writes.names]
        counted = {(item.sha256, item.model) for item in first}
        self._count_images(taken, first)
        self._recorder.tell_readings(
            study, [(item, read[key_of(item)]) for item, _ in made if key_of(item) in counted]
        )
        self._shadows.offer(taken, first)
        note_outcomes(self._canaries, minutes, first, missed)
        return Answer(
            added.result,
            replayed=not first,
            readings=added.readings,
            not_processed=tuple(map(told, entries)),
            missed=tuple(missed),
            record=added.record,
            sent=added.sent,
            settled=added.settled,
            decoded=made[0][0].prepared.decoded if len(images) == 1 else (),
        )

    def _owed(self, study: Study, missed: MissedReading, promised: WorkId | None) -> MissingReading:
        """Return a missed reading as it is stored."""
        work = study.asked_again
        if promised is not None and isinstance(missed.error, TRANSIENT):
            work = promised.id
        return MissingReading(
            sha256=missed.sha256,
            name=missed.name,
            version=missed.version,
            mode=missed.mode,
            problem=self._recorder.problem_of(missed.error).type.removeprefix(URN),
            since=dt.datetime.now(dt.UTC),
            work=work,
        )

    async def _prepare(
        self,
        study: Study,
        chosen: Sequence[ChosenModels],
        refused: Sequence[RefusedImage],
        known: Known,
        *,
        deadline: Deadline,
        stages: Stages,
    ) -> tuple[list[TakenImage], list[RefusedImage]]:
        """Return the images that are read or ready to be read, and all refused ones.

        Raises
        ------
        RadStreamError
            No image can be processed; see `raise_all`.
        """
        with stages.within(Stage.DECODE, span="prepare"):
            is_drawn = study.dropped_as is not None
            taken, unfit = await self._images.take(chosen, known, deadline, is_drawn=is_drawn)
            refused = in_order(study.parts, [*refused, *unfit])
            if not taken:
                raise_all(refused)
            for item in distinct(item for each in taken for item in each.fresh):
                prepared = item.prepared
                if not prepared.is_shared:
                    stages.add(Stage.DECODE, prepared.decode_s, began=prepared.began)
                stages.add(Stage.TENSOR, prepared.tensor_s, began=prepared.tensor_began)
            stages.size = in_common(sizes(taken))
            stages.not_processed = len(refused)
        return taken, refused

    async def _promise(self, study: Study, missed: Sequence[MissedReading]) -> WorkId | None:
        """Return new work that asks models again for readings; None where there is none to make."""
        may_come = any(isinstance(item.error, TRANSIENT) for item in missed)
        if not may_come or study.asked_again is not None:
            return None
        return await self._promises.make(study.metadata.study_id)

    async def _store(
        self, request: ResultRequest, known: Known, writes: ImageWrites, promised: WorkId | None
    ) -> Added:
        """Add a request to its study; the images of readings that do not join it go.

        Raises
        ------
        StudyConflictError, StudyBeingDeletedError
        DeliveryUnfinishedError
            It is a submission that is no longer pending.
        """
        try:
            await writes.done()
            added = await self._results.add(request.metadata.study_id, known, request)
        except (StudyConflictError, StudyBeingDeletedError, DeliveryUnfinishedError):
            await writes.remove()
            if promised is not None:
                await self._promises.withdraw(promised)
            raise
        await writes.remove(kept={reading.object for reading in added.readings})
        return added

    async def _choose(
        self, study: Study, outlast: Deadline | None
    ) -> tuple[list[ChosenModels], list[RefusedImage]]:
        """Return the models that are to read each image, and the images that none reads.

        Parameters
        ----------
        outlast
            See `ModelChoice.choose`.

        Raises
        ------
        InferenceUnavailableError
            No model that is to read an image is ready.
        RadStreamError
            No image can be processed; see `raise_all`.
        """
        chosen: list[ChosenModels] = []
        refused = list(study.refused)
        for image in study.images:
            try:
                chosen.append(await self._choice.choose(study, image, outlast))
            except PART_ERRORS as error:
                refused.append(refusal(image, error))
        if not chosen:
            raise_all(in_order(study.parts, refused))
        return chosen, refused

    async def _entries(
        self,
        study: Study,
        refused: Sequence[RefusedImage],
        taken: Sequence[TakenImage],
    ) -> list[NotProcessedDocument]:
        """Return what is kept and told of the images that cannot be processed."""
        data = study.parts
        hashes = await together(self._imaging.sha256(data[item.part]) for item in refused)
        return [
            NotProcessedDocument(
                part=item.part,
                sha256=sha256,
                problem=self._recorder.problem_of(item.error),
                received_at=study.received_at,
                view=item.view,
                sop_instance_uid=item.sop_instance_uid,
                beside=tuple(dict.fromkeys(other.sha256 for other in taken)),
            )
            for item, sha256 in zip(refused, hashes, strict=True)
        ]

    def _count(self, study: Study, outcome: str) -> None:
        self._metrics.studies.count(study.route, study.caller, outcome)

    def _count_images(self, taken: Sequence[TakenImage], readings: Sequence[Reading]) -> None:
        for each in {each.sha256: each for each in taken}.values():
            outcome = "read" if each.fresh else "replayed"
            media_type = (
                each.fresh[0].prepared.media_type if each.fresh else each.readings[0].media_type
            )
            self._metrics.studies.images.labels(media_type, outcome).inc()
        for reading in readings:
            for frame in reading.frames:
                for finding in frame.findings:
                    self._metrics.studies.findings.labels(
                        reading.model.name,
                        reading.model.version,
                        finding.label,
                        told_verdict(finding),
                    ).inc()


def _first_received_at(study: Study, readings: Sequence[Reading]) -> dt.datetime | None:
    """Return when an object of the drop folder came for the readings that are stored of it."""
    if study.dropped_as is None:
        return None
    own = (reading for reading in readings if reading.dropped_as == study.dropped_as)
    return max((reading.received_at for reading in own), default=None)
