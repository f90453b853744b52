"""The way of a study: admit, decode, tensor, infer, findings, store. Every way in ends here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import note_partial
from gateway.errors import (
    DeliveryUnfinishedError,
    InferenceUnavailableError,
    RadStreamError,
    StudyBeingDeletedError,
    StudyConflictError,
    log_fields,
)
from gateway.results.image_writes import NewImage
from gateway.results.joins import Request as ResultRequest
from gateway.runtime.concurrency import together
from gateway.schemas.not_processed import NotProcessedDocument, told
from gateway.schemas.telemetry import Stage
from gateway.studies.answer import Answer
from gateway.studies.readings import (
    FreshImage,
    check_size,
    distinct,
    image_reading,
    key_of,
    sizes,
)
from gateway.studies.recorder import in_common
from gateway.studies.refused_images import (
    IMAGE_ERRORS,
    PART_ERRORS,
    RefusedImage,
    in_order,
    raise_all,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.models.registry import ModelRegistry
    from gateway.models.served_model import ServedModel
    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.results.documents import FrameReading, Reading
    from gateway.results.image_writes import ImageWrites
    from gateway.results.store import Added, Known, ResultStore
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.result import Finding
    from gateway.studies.imaging import Imaging
    from gateway.studies.inference import Inference
    from gateway.studies.recorder import StudyRecorder
    from gateway.studies.refused_images import ImageError, PartError
    from gateway.studies.stage_timer import Stages
    from gateway.studies.study import Study, StudyImage

log = structlog.get_logger()


_Chosen = tuple["StudyImage", "ServedModel"]


class Pipeline:
    """The pipeline of studies; it knows no transport and no vendor."""

    def __init__(
        self,
        *,
        models: ModelRegistry,
        inference: Inference,
        imaging: Imaging,
        results: ResultStore,
        metrics: Metrics,
        pseudonyms: Pseudonyms,
        recorder: StudyRecorder,
    ) -> None:
        self._models = models
        self._inference = inference
        self._imaging = imaging
        self._results = results
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
        if answer.not_processed:
            note_partial()
        self._count(study, answer.outcome)
        log.info(
            "study.completed",
            study_ref=study_ref,
            route=study.route,
            outcome=answer.outcome,
            images=len(study.parts),
            not_processed=[item.problem.type for item in answer.not_processed] or None,
            image_bytes=sum(map(len, study.parts.values())),
            models=sorted(answer.models),
            replayed=answer.replayed,
            **stages.log_fields(),
        )
        return answer

    async def _process(
        self, study: Study, deadline: Deadline, stages: Stages, *, awaited: bool
    ) -> Answer:
        with stages.time(Stage.ADMIT):
            if awaited:
                await self._outlast_loss(study, deadline)
            chosen, refused = self._choose(study)
            stages.model = in_common(model.reference for _, model in chosen)
            known = await self._results.known(study.metadata, study.seen, corrects=study.corrects)
        taken, refused = await self._prepare(
            study, chosen, refused, known, deadline=deadline, stages=stages
        )
        items = distinct(taken.values())
        fresh = [item for item in items if isinstance(item, FreshImage)]
        images = [
            NewImage(item.sha256, item.prepared.media_type, item.image.data) for item in fresh
        ]
        writes = self._results.write_images(study.metadata.study_id, images)
        frames: list[list[FrameReading]] = []
        try:
            if fresh:
                with stages.time(Stage.INFER):
                    frames = await together(
                        self._inference.read_image(item, deadline, awaited=awaited)
                        for item in fresh
                    )
        except BaseException:
            await writes.remove()
            raise
        with stages.time(Stage.STORE):
            readings = {
                key_of(item): image_reading(study, item, name, read, stages)
                for item, name, read in zip(fresh, writes.names, frames, strict=True)
            }
            entries = await self._entries(study, refused, taken)
            request = ResultRequest(
                study.metadata,
                study.received_at,
                fresh=tuple(readings.values()),
                processed={
                    part: readings[key_of(item)] if isinstance(item, FreshImage) else item
                    for part, item in taken.items()
                },
                entries=entries,
                alone=len(study.parts) == 1,
                submission=study.submission,
                corrects=study.corrects,
            )
            added = await self._store(request, known, writes)
        # Where another gateway was first, that one counts.
        first = [item for item in added.readings if item.object in writes.names]
        self._count_images(items, first)
        return Answer(
            added.result,
            replayed=not first,
            readings=added.readings,
            not_processed=tuple(map(told, entries)),
            record=added.record,
            decoded=fresh[0].prepared.decoded if len(fresh) == 1 else (),
        )

    async def _prepare(
        self,
        study: Study,
        chosen: Sequence[_Chosen],
        refused: Sequence[RefusedImage],
        known: Known,
        *,
        deadline: Deadline,
        stages: Stages,
    ) -> tuple[dict[str, FreshImage | Reading], list[RefusedImage]]:
        """Return each image by its part, read before or ready to be read; and all refused ones.

        Raises
        ------
        RadStreamError
            No image can be processed; see `raise_all`.
        """
        with stages.within(Stage.DECODE, span="prepare"):
            is_drawn = study.dropped_as is not None
            taken, unfit = await self._take(chosen, known, deadline, is_drawn=is_drawn)
            refused = in_order(study.parts, [*refused, *unfit])
            if not taken:
                raise_all(refused)
            items = distinct(taken.values())
            for item in items:
                if isinstance(item, FreshImage):
                    began, decode_s = item.prepared.began, item.prepared.decode_s
                    stages.add(Stage.DECODE, decode_s, began=began)
                    stages.add(Stage.TENSOR, item.prepared.tensor_s, began=began + decode_s)
            stages.size = in_common(sizes(items))
            stages.not_processed = len(refused)
        return taken, refused

    async def _store(self, request: ResultRequest, known: Known, writes: ImageWrites) -> Added:
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
            raise
        await writes.remove(kept={reading.object for reading in added.readings})
        return added

    async def _outlast_loss(self, study: Study, deadline: Deadline) -> None:
        """Wait for the models that were found dead as the study came; see `ModelRegistry`."""
        for image in study.images:
            try:
                self._models.select(image.metadata)
            except PART_ERRORS:
                continue  # told with the others of its kind
            except InferenceUnavailableError as error:
                await self._models.outlast_loss(image.metadata, error, deadline)

    def _choose(self, study: Study) -> tuple[list[_Chosen], list[RefusedImage]]:
        """Return each image with the model that is to read it, and what no model reads.

        Raises
        ------
        InferenceUnavailableError
            A model is not ready.
        RadStreamError
            No image can be processed; see `raise_all`.
        """
        chosen: list[_Chosen] = []
        refused = list(study.refused)
        for image in study.images:
            try:
                chosen.append((image, self._models.select(image.metadata)))
            except PART_ERRORS as error:
                refused.append(_refusal(image, error))
        if not chosen:
            raise_all(in_order(study.parts, refused))
        return chosen, refused

    async def _take(
        self, chosen: Sequence[_Chosen], known: Known, deadline: Deadline, *, is_drawn: bool
    ) -> tuple[dict[str, FreshImage | Reading], list[RefusedImage]]:
        """Return each image by its part, read before or ready to be read; and the rest.

        Raises
        ------
        ImagesTooLargeError
            They are too large together.
        StudyBeingDeletedError
        """
        if len(chosen) > 1:
            await self._imaging.check_together([image for image, _ in chosen])
        outcomes = await together(
            self._take_image(image, model, known, deadline, is_drawn=is_drawn)
            for image, model in chosen
        )
        taken: dict[str, FreshImage | Reading] = {}
        refused: list[RefusedImage] = []
        for (image, _), outcome in zip(chosen, outcomes, strict=True):
            if isinstance(outcome, IMAGE_ERRORS):
                refused.append(_refusal(image, outcome))
            else:
                taken[image.part] = outcome
        return taken, refused

    async def _entries(
        self,
        study: Study,
        refused: Sequence[RefusedImage],
        taken: Mapping[str, FreshImage | Reading],
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
                beside=tuple(dict.fromkeys(other.sha256 for other in taken.values())),
            )
            for item, sha256 in zip(refused, hashes, strict=True)
        ]

    async def _take_image(
        self,
        image: StudyImage,
        model: ServedModel,
        known: Known,
        deadline: Deadline,
        *,
        is_drawn: bool,
    ) -> FreshImage | Reading | ImageError:
        read_before = known.read_by(model.reference)
        try:
            sha256, prepared = await self._imaging.prepare(
                image, model, deadline, read_before=read_before, is_drawn=is_drawn
            )
            if prepared is None:
                study_id = image.metadata.study_id
                stored = await self._results.reading(study_id, known, sha256, model.reference)
                if stored is not None:
                    check_size(image, stored.frames)
                    return stored
                _, prepared = await self._imaging.prepare(image, model, deadline, read_before=())
            if prepared is None:
                raise ValueError("an image that was not read before was not prepared")
            check_size(image, prepared.frames)
        except IMAGE_ERRORS as error:
            return error  # the other images may have faults to report as well
        return FreshImage(image, sha256, model, prepared)

    def _count(self, study: Study, outcome: str) -> None:
        self._metrics.studies.count(study.route, study.caller, outcome)

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
                        reading.model.name,
                        reading.model.version,
                        finding.label,
                        _verdict(finding),
                    ).inc()


def _refusal(image: StudyImage, error: PartError) -> RefusedImage:
    return RefusedImage(image.part, error, image.metadata.view, image.uids.sop_instance_uid)


def _verdict(finding: Finding) -> str:
    """Return the finding's verdict as metrics have it."""
    return "not_applicable" if finding.positive is None else str(finding.positive).lower()
