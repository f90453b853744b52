"""Inference: frames to a model in Triton and readings back, tried again where that may help."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

import structlog

from gateway.errors import (
    BackendDiedError,
    ContractError,
    InferenceFailedError,
    InferenceUnavailableError,
    RadStreamError,
)
from gateway.runtime.concurrency import together
from gateway.studies.readings import frame_reading

if TYPE_CHECKING:
    from gateway.models.registry import ModelRegistry
    from gateway.models.served_model import ServedModel
    from gateway.observability.metrics import Metrics
    from gateway.results.documents import FrameReading
    from gateway.runtime.deadline import Deadline
    from gateway.studies.imaging import PreparedFrame
    from gateway.studies.readings import FreshImage
    from gateway.triton.protocol import InferenceServer

log = structlog.get_logger()

_MODEL_ERRORS = (InferenceUnavailableError, InferenceFailedError, ContractError)
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
            if isinstance(error, _MODEL_ERRORS):
                log.warning("model.failed", model=frame.call.name, reason=str(error))
                self._models.failed(model, error, began)
            raise
        self._models.answered(model)
        return reading
