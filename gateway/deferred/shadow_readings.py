"""Readings by shadow models, made one after another while no study is at work.

Nothing outside learns of them or of their failure: they are stored beside the study's document,
compared with the readings that are shown, counted and told to telemetry.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, NoReturn

import structlog

from gateway.errors import (
    InferenceUnavailableError,
    NoModelAcceptsError,
    ObjectNotFoundError,
    RadStreamError,
    StudyBeingDeletedError,
    StudyNotFoundError,
    UnknownModelError,
    log_fields,
)
from gateway.models.selection import not_accepted
from gateway.results.shadows import ShadowFrame, ShadowReading, pairs_of
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import ModelReference, StudyMetadata
from gateway.schemas.result import Mode
from gateway.studies.preparation import PreparedImage
from gateway.studies.readings import FreshImage, doubts, judged, not_applicable
from gateway.studies.study import Route, Study, StudyImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.admission.idle_turns import IdleTurns
    from gateway.models.registry import ModelRegistry
    from gateway.models.served_model import ServedModel
    from gateway.observability.metrics import Metrics
    from gateway.results.documents import Reading
    from gateway.results.shadows import Shadows
    from gateway.results.store import ResultStore
    from gateway.routing.canary_watch import CanaryWatch
    from gateway.studies.imaging import Imaging
    from gateway.studies.inference import Inference
    from gateway.studies.recorder import StudyRecorder
    from gateway.studies.shadow_queue import ShadowQueue, WaitingImage

log = structlog.get_logger()

_GONE = (StudyNotFoundError, StudyBeingDeletedError, ObjectNotFoundError)
_NOT_TAKEN = (InferenceUnavailableError, UnknownModelError, NoModelAcceptsError)


class ShadowReadings:
    """The work of shadow models.

    Parameters
    ----------
    waiting, turns
        The images that wait, and the turns in which they are read: one for the image, one for the
        inference, since studies may have come between them.
    models, imaging, inference
        Read an image.
    results, kept
        The readings that are shown, and those of shadow models.
    recorder, metrics, canaries
        Told of them.
    timeout_s
        Seconds that a turn may take.
    """

    def __init__(
        self,
        waiting: ShadowQueue,
        *,
        turns: IdleTurns,
        models: ModelRegistry,
        imaging: Imaging,
        inference: Inference,
        results: ResultStore,
        kept: Shadows,
        recorder: StudyRecorder,
        metrics: Metrics,
        canaries: CanaryWatch,
        timeout_s: float,
    ) -> None:
        self._waiting = waiting
        self._turns = turns
        self._models = models
        self._imaging = imaging
        self._inference = inference
        self._results = results
        self._kept = kept
        self._recorder = recorder
        self._metrics = metrics.shadow
        self._canaries = canaries
        self._timeout_s = timeout_s

    async def run(self) -> NoReturn:
        """Read images for ever; none that fails ends it."""
        while True:
            await self._attempt(await self._waiting.get())

    async def _attempt(self, image: WaitingImage) -> None:
        arm = image.arm
        try:
            await self._read(image)
        except _GONE:
            self._metrics.dropped.labels("study_gone").inc()
        except _NOT_TAKEN as error:
            self._metrics.dropped.labels("not_taken").inc()
            log.info("shadow.not_taken", model=str(arm), **log_fields(error))
        except RadStreamError as error:
            log.warning("shadow.failed", model=str(arm), **log_fields(error))
            self._metrics.readings.labels(arm.name, arm.version, "failed").inc()
        except Exception:  # a trial ends no other, whatever its model answers
            log.exception("shadow.unexpected_error", model=str(arm))
            self._metrics.readings.labels(arm.name, arm.version, "failed").inc()

    async def _read(self, image: WaitingImage) -> None:
        async with self._turns.turn():
            began = time.perf_counter()
            shown = await self._shown(image)
            metadata = StudyMetadata.model_validate(shown[0].metadata)
            model = self._model(image, metadata)
            item = await self._prepared(shown[0], metadata, model)
            prepare_s = time.perf_counter() - began
        async with self._turns.turn():
            began = time.perf_counter()
            deadline = Deadline.after(self._timeout_s)
            async with deadline.bounds("shadow"):
                frames = await self._inference.read_unnoticed(item.prepared, model, deadline)
            infer_s = time.perf_counter() - began
            reason = shown[0].unfit or not_applicable(model, metadata)
            reading = shown[0].model_copy(
                update={
                    "model": model.reference,
                    "mode": Mode.SHADOW,
                    "not_applicable": reason,
                    "doubts": () if reason else doubts(model, metadata),
                    "completed_at": dt.datetime.now(dt.UTC),
                    "timings_ms": {"prepare": _ms(prepare_s), "infer": _ms(infer_s)},
                    "frames": judged(reason, frames),
                }
            )
            kept = _kept(reading, shown)
            is_new = await self._kept.add(kept)
        for seconds in (prepare_s, infer_s):
            self._metrics.seconds.observe(seconds)
        if is_new:  # another gateway may have read it, where the image was sent to both
            self._count(kept)
            study = Study(
                (item.image,),
                Route(reading.route or Route.REST),
                reading.received_at,
                caller=reading.sender or "",
            )
            self._recorder.tell_readings(study, [(item, reading)])

    async def _shown(self, image: WaitingImage) -> list[Reading]:
        readings = await self._results.readings(image.study_id)
        shown = [reading for reading in readings if reading.sha256 == image.sha256]
        if not shown:
            raise StudyNotFoundError
        return shown

    def _model(self, image: WaitingImage, metadata: StudyMetadata) -> ServedModel:
        """Return the model that is to read an image.

        Raises
        ------
        UnknownModelError, InferenceUnavailableError, NoModelAcceptsError
        """
        asked = ModelReference(name=image.arm.name, version=image.arm.version)
        model = self._models.select(metadata.model_copy(update={"model": asked}), is_shown=False)
        if not model.accepts(metadata):
            raise not_accepted(metadata, [model])
        return model

    async def _prepared(
        self, shown: Reading, metadata: StudyMetadata, model: ServedModel
    ) -> FreshImage:
        image = StudyImage("image", await self._results.image(shown), metadata)
        deadline = Deadline.after(self._timeout_s)
        async with deadline.bounds("shadow"):
            _, [prepared] = await self._imaging.prepare(image, [model], deadline, read_before=[()])
        if not isinstance(prepared, PreparedImage):
            raise prepared or StudyNotFoundError
        return FreshImage(image, shown.sha256, model, prepared, Mode.SHADOW)

    def _count(self, reading: ShadowReading) -> None:
        model = reading.model
        self._metrics.readings.labels(model.name, model.version, "read").inc()
        for pair in reading.pairs:
            labels = (model.name, model.version, pair.model.name, pair.model.version, pair.label)
            self._metrics.pairs.labels(*labels, pair.verdicts).inc()
            self._metrics.differences.labels(*labels).observe(
                pair.shadow_probability - pair.probability
            )
            if pair.positive is not None and pair.shadow_positive is not None:
                self._canaries.compared(
                    (model.name, model.version),
                    (pair.model.name, pair.model.version),
                    pair.label,
                    (pair.positive, pair.shadow_positive),
                )


def _kept(reading: Reading, shown: Sequence[Reading]) -> ShadowReading:
    """Return a reading as it is stored, beside all that are shown."""
    frames = tuple(
        ShadowFrame(
            findings=frame.findings,
            applicability_score=frame.applicability_score,
            not_applicable=frame.not_applicable,
        )
        for frame in reading.frames
    )
    return ShadowReading(
        study_id=reading.study_id,
        sha256=reading.sha256,
        model=reading.model,
        not_applicable=reading.not_applicable,
        completed_at=reading.completed_at,
        timings_ms=reading.timings_ms,
        frames=frames,
        pairs=tuple(
            pair
            for other in shown
            if other.model != reading.model
            for pair in pairs_of(frames, other)
        ),
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
