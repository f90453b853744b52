"""Pairs: the halves that lie in the drop folder, brought together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.dropfolder.objects import SHARE
from gateway.dropfolder.outcome import Taken
from gateway.errors import (
    TRANSIENT,
    DeadlineExceededError,
    DeliveryUnfinishedError,
    ObjectNotReadableError,
    ObjectTooLargeError,
    RadStreamError,
)
from gateway.observability.tracing import spanned
from gateway.runtime.deadline import Deadline
from gateway.schemas.events import Outcome
from gateway.schemas.parked import Half

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from gateway.admission.admission import Admission
    from gateway.dropfolder.dropped_images import DroppedImages
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.dropfolder.pair_records import PairRecords
    from gateway.dropfolder.pair_turns import PairTurns
    from gateway.dropfolder.superseding import Superseding

_GRACE_S = 1.0


class Pairing:
    """Finds the images that an object makes complete, and has each processed.

    Parameters
    ----------
    images
        Processes them.
    inbox, records
        Say which halves are there, and which wait.
    superseding
        Notes which image stands where a name has come to hold another one.
    turns
        Of the deliveries of each pair.
    admission
        Gives each object its turn: nothing here is refused, it waits.
    timeout_s
        Seconds that a delivery may take.
    tracer
        Makes a span of each delivery: in a watched folder it begins the study's trace.
    """

    def __init__(
        self,
        images: DroppedImages,
        *,
        inbox: Inbox,
        records: PairRecords,
        superseding: Superseding,
        turns: PairTurns,
        admission: Admission,
        timeout_s: float,
        tracer: Tracer,
    ) -> None:
        self._images = images
        self._inbox = inbox
        self._records = records
        self._superseding = superseding
        self._turns = turns
        self._admission = admission
        self._timeout_s = timeout_s
        self._tracer = tracer

    async def take(
        self,
        dropped: Dropped,
        version_id: str | None,
        deadline: Deadline | None = None,
    ) -> list[Taken]:
        """Return what became of the images that an object makes complete; none where a half lacks.

        Parameters
        ----------
        deadline
            Of whoever waits for the answer; none but the pairing's own if None.

        Raises
        ------
        DeliveryUnfinishedError
        ObjectNotReadableError
            The object is closed to the gateway.
        RadStreamError
            One of `TRANSIENT`.
        """
        deadline = deadline or Deadline.after(self._timeout_s)
        try:
            # A study is to end by its own deadline, and to tell telemetry so; this one stops what
            # does not. Whoever waits for the pair holds no place and no room meanwhile.
            async with deadline.later(_GRACE_S).bounds("dropfolder"), self._turns.of(dropped):
                with spanned(self._tracer, "delivery"), self._admission.slot(SHARE) as slot:
                    await slot.wait()
                    if dropped.half is Half.IMAGE:
                        return await self._take_image(dropped, version_id, deadline)
                    return await self._take_sidecar(dropped, deadline)
        except DeadlineExceededError as error:
            raise DeliveryUnfinishedError(f"its time was used up in stage {error.stage}") from error
        except (*TRANSIENT, ObjectNotReadableError):
            raise
        except RadStreamError as error:  # the sidecar cannot be read, whatever image it is for
            return [await self._records.park(dropped, version_id, error)]

    async def _take_image(
        self, image: Dropped, version_id: str | None, deadline: Deadline
    ) -> list[Taken]:
        try:
            document = await self._inbox.document(image)
        except ObjectTooLargeError as error:
            return [await self._records.park_sidecar(image, error)]
        if document is None and not image.may_stand_alone:
            return []
        return await self._process(image, version_id, document, deadline)

    async def _take_sidecar(self, sidecar: Dropped, deadline: Deadline) -> list[Taken]:
        try:
            document = await self._inbox.document(sidecar)
        except ObjectTooLargeError as error:
            return [await self._records.park_sidecar(sidecar, error)]
        waiting = self._records.waiting
        if document is None:
            await waiting.remove((sidecar, None))
            return [Taken(Outcome.IGNORED)]
        taken: list[Taken] = []
        for image, version_id in await self._images_of(sidecar):
            try:
                taken += await self._process(image, version_id, document, deadline)
            except ObjectNotReadableError:  # the image waits to be opened, not its sidecar
                await waiting.add(image, version_id)
                await waiting.remove((sidecar, None))
                taken.append(Taken(Outcome.WAITING))
        return taken

    async def _images_of(self, sidecar: Dropped) -> list[tuple[Dropped, str | None]]:
        """The images beside a sidecar: every version that waits, and what is there now."""
        waiting = [
            (image, half.version_id)
            for half in await self._records.waiting.beside(sidecar)
            if (image := self._inbox.find(half.key)) and image.half is Half.IMAGE
        ]
        known = {image.key for image, _ in waiting}
        there = await self._inbox.images_of(sidecar)
        return waiting + [(image, None) for image in there if image.key not in known]

    async def _process(
        self, image: Dropped, version_id: str | None, document: bytes | None, deadline: Deadline
    ) -> list[Taken]:
        taken = await self._images.process(image, version_id, document, deadline)
        if taken is None:
            return []
        if taken.stored is not None:  # now that its own bytes have left their room
            await self._superseding.settle(image, *taken.stored)
        return [taken]
