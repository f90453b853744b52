"""Inference: frames to a model in Triton and readings back, tried again where that may help."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from gateway.errors import (
    BackendDiedError,
    ContractError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
    RadStreamError,
)
from gateway.runtime.concurrency import together
from gateway.runtime.deadline import Deadline
from gateway.studies.readings import MissedReading, distinct, frame_reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.models.registry import ModelRegistry
    from gateway.models.served_model import ServedModel
    from gateway.observability.metrics import Metrics
    from gateway.results.documents import FrameReading
    from gateway.studies.preparation import PreparedFrame, PreparedImage
    from gateway.studies.readings import FreshImage
    from gateway.studies.taken_images import TakenImage
    from gateway.triton.protocol import InferenceServer

log = structlog.get_logger()

MODEL_ERRORS = (InferenceUnavailableError, InferenceFailedError, ContractError)
"""Failures that speak against a model, and not of the load."""
FAILURES = (*MODEL_ERRORS, InferenceOverloadedError, DeadlineExceededError)
"""Failures of one model, which say nothing of another."""
# Of what a request has left, for models of which others read the same image.
_SHARE_OF_DEADLINE = 0.75
# A broken connection is made anew in less; a server that is being started takes longer.
_RETRY_PAUSE_S = (0.05, 0.15)


class Inference:
    """Inference by the models, whose answers are reported to the registry.

    Parameters
    ----------
    server
        The server of the models.
    models
        Told of each answer and failure; knows which model is being reloaded.
    metrics
        Counts failures.
    """

    def __init__(self, server: InferenceServer, models: ModelRegistry, metrics: Metrics) -> None:
        self._server = server
        self._models = models
        self._metrics = metrics

    async def read_images(
        self, taken: Sequence[TakenImage], deadline: Deadline, *, awaited: bool
    ) -> tuple[list[tuple[FreshImage, list[FrameReading]]], list[MissedReading]]:
        """Return the readings of all fresh images, side by side, and those that models owe.

        A model that fails costs its own reading where another one read the image. Where several
        read one image, none is waited for to the request's end.

        Raises
        ------
        RadStreamError
            An image has no reading by any model: see `read_image`.
        """
        items = distinct(item for each in taken for item in each.fresh)
        stored = {each.sha256 for each in taken if each.readings}
        models = Counter(item.sha256 for item in items)
        soon = Deadline.after(deadline.remaining_s() * _SHARE_OF_DEADLINE)

        async def read(item: FreshImage) -> list[FrameReading] | RadStreamError:
            if models[item.sha256] == 1 and item.sha256 not in stored:
                return await self.read_image(item, deadline, awaited=awaited)
            try:
                async with soon.bounds("inference"):
                    return await self.read_image(item, soon, awaited=False)
            except FAILURES as error:
                return error

        outcomes = list(zip(items, await together(map(read, items)), strict=True))
        read_by_any = stored | {item.sha256 for item, made in outcomes if isinstance(made, list)}
        made: list[tuple[FreshImage, list[FrameReading]]] = []
        missed: list[MissedReading] = []
        for item, outcome in outcomes:
            if isinstance(outcome, list):
                made.append((item, outcome))
            elif item.sha256 not in read_by_any:
                raise outcome
            else:
                missed.append(MissedReading.of(item.sha256, item.model, item.mode, outcome))
        return made, missed

    async def read_image(
        self, item: FreshImage, deadline: Deadline, *, awaited: bool
    ) -> list[FrameReading]:
        """Return the model's readings of all frames of an image, side by side.

        Parameters
        ----------
        awaited
            See `Pipeline.process`.

        Raises
        ------
        InferenceUnavailableError, InferenceOverloadedError, InferenceFailedError, ContractError
        DeadlineExceededError
        """
        return await together(
            self._infer(frame, item.model, deadline, awaited=awaited)
            for frame in item.prepared.frames
        )

    async def read_unnoticed(
        self, prepared: PreparedImage, model: ServedModel, deadline: Deadline
    ) -> list[FrameReading]:
        """Return the model's readings of an image that no sender waits for, frame by frame.

        It is asked once, and a failure is the caller's alone: it raises no doubt about the model,
        which would have all others looked at.

        Raises
        ------
        RadStreamError
            See `read_image`.
        """
        readings = []
        for frame in prepared.frames:
            call = frame.call
            output = await self._server.infer(
                call.name, call.version, call.inputs, model.outputs, deadline=deadline
            )
            readings.append(frame_reading(frame, model, output))
        return readings

    async def _infer(
        self, frame: PreparedFrame, model: ServedModel, deadline: Deadline, *, awaited: bool
    ) -> FrameReading:
        """Return the model's reading of a frame.

        The model is asked twice where Triton is away for a moment, and after the reload that a dead
        backend takes where the sender waits.
        """
        try:
            return await self._infer_once(frame, model, deadline)
        except BackendDiedError as error:
            if not awaited:
                raise
            await self._models.outlast_reload(model, error, deadline)
        except InferenceUnavailableError as error:
            await asyncio.sleep(random.uniform(*_RETRY_PAUSE_S))  # noqa: S311 - jitter
            self._models.ask()  # by now it may be known to be down
            if awaited:  # another study may have met a dead backend, and it is being reloaded
                await self._models.outlast_reload(model, error, deadline)
        return await self._infer_once(frame, model, deadline)

    async def _infer_once(
        self, frame: PreparedFrame, model: ServedModel, deadline: Deadline
    ) -> FrameReading:
        began = time.monotonic()
        try:
            output = await self._server.infer(
                frame.call.name,
                frame.call.version,
                frame.call.inputs,
                model.outputs,
                deadline=deadline,
            )
            reading = frame_reading(frame, model, output)
        except RadStreamError as error:
            self._metrics.triton.errors.labels(error.label).inc()
            if isinstance(error, MODEL_ERRORS):
                log.warning("model.failed", model=frame.call.name, reason=str(error))
                self._models.failed(model, error, began)
            raise
        self._models.answered(model)
        return reading
