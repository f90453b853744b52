"""Images that wait for shadow models: names alone, in memory, in a bounded number."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.observability.metrics import Metrics
    from gateway.results.documents import Reading
    from gateway.routing.canary import Arm
    from gateway.studies.taken_images import TakenImage


@dataclass(frozen=True, slots=True)
class WaitingImage:
    """A stored image that a shadow model is to read.

    Parameters
    ----------
    study_id, sha256
        Of the image.
    arm
        The model.
    """

    study_id: str
    sha256: str
    arm: Arm


class ShadowQueue:
    """The queue; what finds it full is dropped.

    Parameters
    ----------
    most
        Number of images that may wait.
    metrics
        Shows how many do, and counts those that are dropped.
    """

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._waiting: asyncio.Queue[WaitingImage] = asyncio.Queue(most)
        self._dropped = metrics.shadow.dropped
        metrics.shadow.waiting.set_function(self._waiting.qsize)

    def offer(self, taken: Sequence[TakenImage], readings: Sequence[Reading]) -> None:
        """Have images read by their shadow models, once other readings of them are stored.

        Where the sender asked for a model, no rule says which others read the image.

        Parameters
        ----------
        taken
            Images of a request.
        readings
            Those that were stored with it.
        """
        for sha256, each in {each.sha256: each for each in taken}.items():
            models = {item.model for item in readings if item.sha256 == sha256}
            if not models or each.chosen.image.metadata.model is not None:
                continue
            shown = {(model.name, model.version) for model in models}
            for arm in each.chosen.decision.shadows:
                if (arm.name, arm.version) not in shown:
                    self._put(WaitingImage(each.chosen.image.metadata.study_id, sha256, arm))

    async def get(self) -> WaitingImage:
        """Return the image that has waited longest."""
        return await self._waiting.get()

    def _put(self, image: WaitingImage) -> None:
        try:
            self._waiting.put_nowait(image)
        except asyncio.QueueFull:
            self._dropped.labels("queue_full").inc()
