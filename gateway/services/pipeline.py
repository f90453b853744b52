"""The way of a study: admit, decode, tensor, infer, findings, store. Every way in ends here."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.errors import (
    BackendDiedError,
    ContractError,
    Fault,
    InferenceFailedError,
    InferenceUnavailableError,
    InvalidMetadataError,
    ObjectNotFoundError,
    RadStreamError,
    StudyBeingDeletedError,
    StudyNotFoundError,
)
from gateway.schemas.telemetry import Stage
from gateway.services.imaging import IMAGE_ERRORS, raise_gravest
from gateway.services.outcomes import in_common
from gateway.services.reading import FreshImage, frame_reading, image_reading
from gateway.services.tasks import both, together

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.clients.protocols import InferenceServer
    from gateway.deadline import Deadline
    from gateway.logs import Pseudonyms
    from gateway.metrics import Metrics
    from gateway.schemas.result import ModelVersion, StudyResult
    from gateway.schemas.stored import FrameReading, Reading
    from gateway.services.contracts import ServedModel
    from gateway.services.deletion import Deletion
    from gateway.services.imaging import ImageError, Imaging, PreparedFrame
    from gateway.services.models import ModelRegistry
    from gateway.services.outcomes import Outcomes
    from gateway.services.results import Added, Known, ResultStore
    from gateway.services.stages import Stages
    from gateway.services.study import Study, SubmittedImage

log = structlog.get_logger()

_MODEL_ERRORS = (InferenceUnavailableError, InferenceFailedError, ContractError)
# A broken connection is made anew in less; a server that is being started takes longer.
_RETRY_PAUSE_S = (0.05, 0.15)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a study's sender is told.

    Parameters
    ----------
    result
        The study's current view.
    replayed
        Whether every image sent had been read before, so that nothing was inferred.
    readings
        What is stored of the images that had not.
    """

    result: StudyResult
    replayed: bool
    readings: tuple[Reading, ...] = ()


class Pipeline:
    """Takes studies through the gateway; knows no transport and no vendor."""

    def __init__(
        self,
        *,
        models: ModelRegistry,
        inference: InferenceServer,
        imaging: Imaging,
        results: ResultStore,
        deletion: Deletion,
        metrics: Metrics,
        pseudonyms: Pseudonyms,
        outcomes: Outcomes,
    ) -> None:
        self._models = models
        self._inference = inference
        self._imaging = imaging
        self._results = results
        self._deletion = deletion
        self._metrics = metrics
        self._pseudonyms = pseudonyms
        self._outcomes = outcomes

    async def read(self, study: Study, deadline: Deadline) -> Answer:
        """Read the study's images and store what was found.

        Nothing is written before every image has been decoded and read.

        Raises
        ------
        RadStreamError
            One of its subclasses; `gateway.problems` says what each means to the sender.
        """
        study_ref = self._pseudonyms.study_ref(study.metadata.study_id)
        with (
            self._metrics.studies.in_flight.track_inprogress(),
            self._outcomes.of(study) as stages,
        ):
            try:
                async with deadline.bounds("study"):
                    answer = await self._read(study, deadline, stages)
            except asyncio.CancelledError:
                self._count(study, "cancelled")
                raise
            except RadStreamError as error:
                self._count(study, type(error).__name__)
                log.info(
                    "study.failed",
                    study_ref=study_ref,
                    route=study.route,
                    images=len(study.images),
                    error=type(error).__name__,
                    **stages.log_fields(),
                )
                raise
        self._count(study, "replayed" if answer.replayed else "completed")
        log.info(
            "study.completed",
            study_ref=study_ref,
            route=study.route,
            images=len(study.images),
            image_bytes=sum(len(image.data) for image in study.images),
            models=sorted({image.model.name for image in answer.result.images}),
            replayed=answer.replayed,
            **stages.log_fields(),
        )
        return answer

    async def _read(self, study: Study, deadline: Deadline, stages: Stages) -> Answer:
        with stages.time(Stage.ADMIT):
            models = [self._models.select(image.metadata) for image in study.images]
            stages.model = in_common(model.reference for model in models)
            # Whoever comes while the study is closed must not write: its closing may end meanwhile,
            # and take the first of what was written with it.
            known, _ = await both(
                self._results.known(study.metadata),
                self._deletion.check_open(study.metadata.study_id),
            )
        with stages.within(Stage.DECODE, span="prepare"):
            taken = await self._take(study, models, known, deadline)
            fresh = [item for item in taken if isinstance(item, FreshImage)]
            for item in fresh:
                began, decode_s = item.prepared.began, item.prepared.decode_s
                stages.add(Stage.DECODE, decode_s, began=began)
                stages.add(Stage.TENSOR, item.prepared.tensor_s, began=began + decode_s)
            stages.size = in_common(_sizes(taken))
        frames: list[list[FrameReading]] = []
        if fresh:
            with stages.time(Stage.INFER):
                frames = await together(self._infer_image(item, deadline) for item in fresh)
        with stages.time(Stage.STORE):
            readings = [
                image_reading(study, position, item, read, stages)
                for position, (item, read) in enumerate(zip(fresh, frames, strict=True))
            ]
            added, result = await self._store(study, fresh, readings, known)
        # Where another gateway was first, that one counts.
        first = [
            reading
            for reading, stands in zip(readings, added.readings, strict=True)
            if stands is reading
        ]
        self._count_images(taken, first)
        return Answer(result, replayed=not fresh, readings=added.readings)

    async def _store(
        self,
        study: Study,
        fresh: Sequence[FreshImage],
        readings: Sequence[Reading],
        known: Known,
    ) -> tuple[Added, StudyResult]:
        """What was stored, and the study's view, unless the study was deleted meanwhile."""
        study_id = study.metadata.study_id
        check = partial(self._deletion.check_written, study_id)
        try:
            added = await self._results.add(
                study.metadata,
                study.received_at,
                [(item.image.data, reading) for item, reading in zip(fresh, readings, strict=True)],
                known,
            )
            return added, await self._results.rebuild(study_id, added, check=check)
        except BaseException as error:
            await check()
            if isinstance(error, (StudyNotFoundError, ObjectNotFoundError)):
                raise StudyBeingDeletedError from None  # some of it is gone already
            raise

    async def _take(
        self, study: Study, models: Sequence[ServedModel], known: Known, deadline: Deadline
    ) -> list[FreshImage | Reading]:
        """Each distinct image: as its model read it before, or ready to be read.

        Raises
        ------
        UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError, InvalidMetadataError
            The gravest kind found, with the faults of all images.
        StudyBeingDeletedError
        """
        if len(study.images) > 1:
            await self._imaging.check_together(study.images)
        outcomes = await together(
            self._take_image(image, model, known, deadline)
            for image, model in zip(study.images, models, strict=True)
        )
        raise_gravest([outcome for outcome in outcomes if isinstance(outcome, IMAGE_ERRORS)])
        distinct: dict[tuple[str, ModelVersion], FreshImage | Reading] = {}
        for item in outcomes:
            if not isinstance(item, IMAGE_ERRORS):
                model = item.model.reference if isinstance(item, FreshImage) else item.model
                distinct.setdefault((item.sha256, model), item)
        return list(distinct.values())

    async def _take_image(
        self, image: SubmittedImage, model: ServedModel, known: Known, deadline: Deadline
    ) -> FreshImage | Reading | ImageError:
        read_before = known.read_by(model.reference)
        try:
            sha256, prepared = await self._imaging.prepare(
                image, model, deadline, read_before=read_before
            )
            if prepared is not None:
                _check_size(image, prepared.frames)
                return FreshImage(image, sha256, model, prepared)
            study_id = image.metadata.study_id
            stored = await self._results.reading(study_id, sha256, model.reference)
            _check_size(image, stored.frames)
        except IMAGE_ERRORS as error:
            return error  # the other images may have faults to report as well
        except ObjectNotFoundError:  # it was there a moment ago
            raise StudyBeingDeletedError from None
        return stored

    async def _infer_image(self, item: FreshImage, deadline: Deadline) -> list[FrameReading]:
        return await together(
            self._infer(frame, item.model, deadline) for frame in item.prepared.frames
        )

    async def _infer(
        self, frame: PreparedFrame, model: ServedModel, deadline: Deadline
    ) -> FrameReading:
        """What the model makes of a frame; asked twice where Triton is away for a moment."""
        try:
            return await self._infer_once(frame, model, deadline)
        except BackendDiedError:  # until it is reloaded, which takes its time
            raise
        except InferenceUnavailableError:
            await asyncio.sleep(random.uniform(*_RETRY_PAUSE_S))  # noqa: S311 - jitter
            self._models.ask()  # by now it may be known to be down
        return await self._infer_once(frame, model, deadline)

    async def _infer_once(
        self, frame: PreparedFrame, model: ServedModel, deadline: Deadline
    ) -> FrameReading:
        began = time.monotonic()
        try:
            output = await self._inference.infer(
                frame.call.name,
                frame.call.version,
                frame.call.inputs,
                model.outputs,
                deadline=deadline,
            )
            reading = frame_reading(frame, model, output)
        except RadStreamError as error:
            self._metrics.triton.errors.labels(type(error).__name__).inc()
            if isinstance(error, _MODEL_ERRORS):
                log.warning("model.failed", model=frame.call.name, reason=str(error))
                self._models.failed(model, error, began)
            raise
        self._models.answered(model)
        return reading

    def _count(self, study: Study, outcome: str) -> None:
        self._metrics.studies.ended.labels(study.route, outcome).inc()

    def _count_images(
        self, taken: Sequence[FreshImage | Reading], readings: Sequence[Reading]
    ) -> None:
        for item in taken:
            if isinstance(item, FreshImage):
                self._metrics.studies.images.labels(item.prepared.media_type, "read").inc()
            else:
                self._metrics.studies.images.labels(item.media_type, "replayed").inc()
        for reading in readings:
            for frame in reading.frames:
                for finding in frame.findings:
                    self._metrics.studies.findings.labels(
                        reading.model.name, finding.label, str(finding.positive).lower()
                    ).inc()


def _check_size(
    image: SubmittedImage, frames: Sequence[PreparedFrame] | Sequence[FrameReading]
) -> None:
    """Hold the size the sender declared to the pixels."""
    declared = image.metadata.image_size
    if declared is None:
        return
    faults = tuple(
        Fault("/image_size", f"{image.part} has width {frame.columns} and height {frame.rows}")
        for frame in frames
        if (frame.rows, frame.columns) != (declared.height, declared.width)
    )
    if faults:
        raise InvalidMetadataError(faults)


def _sizes(taken: Sequence[FreshImage | Reading]) -> Iterator[tuple[int, int]]:
    """Rows and columns of every frame."""
    for item in taken:
        for frame in item.prepared.frames if isinstance(item, FreshImage) else item.frames:
            yield frame.rows, frame.columns
