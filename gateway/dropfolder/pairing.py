"""Pairs: the halves that lie in the drop folder, brought together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.dropfolder.objects import SHARE
from gateway.dropfolder.outcome import Taken
from gateway.dropfolder.pair_records import Failure
from gateway.dropfolder.pair_turns import TakenPair, bare
from gateway.errors import (
    TRANSIENT,
    DeadlineExceededError,
    DeliveryUnfinishedError,
    Fault,
    InvalidMetadataError,
    ObjectNotReadableError,
    ObjectTooLargeError,
    QuotaExceededError,
    RadStreamError,
)
from gateway.observability.tracing import spanned
from gateway.runtime.concurrency import both
from gateway.runtime.deadline import Deadline
from gateway.schemas.events import Outcome
from gateway.schemas.parked import Half

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.trace import Tracer

    from gateway.admission.admission import Admission
    from gateway.admission.tenant_quota import TenantQuota
    from gateway.dropfolder.dropped_images import DroppedImages
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.dropfolder.pair_records import PairRecords
    from gateway.dropfolder.pair_turns import PairTurns
    from gateway.dropfolder.superseding import Superseding
    from gateway.storage.protocol import Tagged

_GRACE_S = 1.0
_SECOND = Fault(
    "",
    "is a second sidecar: the one without the image's ending in its name counts; remove one",
)


class Pairing:
    """The pairing of an object with the images that it makes complete, each of which is processed.

    Parameters
    ----------
    images
        Processes them.
    inbox, records
        Tell the halves that are there, and those that wait.
    superseding
        Notes the image that stands where a name has come to hold another one.
    turns
        Turns of the deliveries of each pair.
    admission
        Gives each object its turn: nothing here is refused, it waits.
    timeout_s
        Seconds that a delivery may take.
    tracer
        Makes a span of each delivery: in a watched folder it begins the study's trace.
    quota
        Quota of the tenant; None without tenants.
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
        quota: TenantQuota | None = None,
    ) -> None:
        self._images = images
        self._inbox = inbox
        self._records = records
        self._superseding = superseding
        self._turns = turns
        self._admission = admission
        self._timeout_s = timeout_s
        self._tracer = tracer
        self._quota = quota

    async def take(
        self,
        dropped: Dropped,
        version_id: str | None,
        deadline: Deadline | None = None,
        *,
        tag: str | None = None,
    ) -> list[Taken]:
        """Return the outcome of each image that an object makes complete; none where a half lacks.

        Parameters
        ----------
        deadline
            The sender's, if it waits for the answer; never later than the pairing's own.
        tag
            Tag of the object's bytes, where its event has one and it is looked at for the first
            time: a delivery that was waited for may have taken them.

        Raises
        ------
        DeliveryUnfinishedError
        ObjectNotReadableError
            The object is closed to the gateway.
        QuotaExceededError
            It is to wait in its place.
        RadStreamError
            One of `TRANSIENT`.
        """
        deadline = deadline or Deadline.after(self._timeout_s)
        turn = self._turns.of(dropped)
        beside: Sequence[Dropped] = ()
        try:
            # A study is to end by its own deadline, and to tell telemetry so; this one stops what
            # does not. A delivery that waits for the pair holds no place and no room meanwhile.
            async with deadline.later(_GRACE_S).bounds("dropfolder"):
                if tag is not None and turn.locked() and dropped.half is Half.SIDECAR:
                    beside = await self._inbox.images_of(dropped)
                async with turn:
                    if tag is not None and turn.taken and turn.taken.has(dropped, tag, beside):
                        return [Taken.again(turn.taken.study_id)]
                    if self._quota is not None:
                        self._quota.check()
                    with spanned(self._tracer, "delivery"), self._admission.slot(SHARE) as slot:
                        await slot.wait()
                        turn.taken = None
                        taken, turn.taken = await self._take(dropped, version_id, deadline)
                        return taken
        except DeadlineExceededError as error:
            raise DeliveryUnfinishedError(f"its time was used up in stage {error.stage}") from error
        except (*TRANSIENT, ObjectNotReadableError, QuotaExceededError):
            raise
        except RadStreamError as error:  # the sidecar cannot be read, whatever image it is for
            return [await self._records.park(Failure(dropped, error, (version_id,)))]

    async def take_up(
        self, dropped: Dropped, version_id: str | None, deadline: Deadline | None = None
    ) -> list[Taken]:
        """Return the same of a half that waits for its other one, and none before that has come.

        To take a DICOM file once more meanwhile would tell of one more study that failed. One that
        was taken away waits no longer.
        """
        lacks_sidecar = dropped.half is Half.IMAGE and not await self._inbox.has_sidecar(dropped)
        if lacks_sidecar and await self._inbox.has(dropped, version_id):
            return []
        return await self.take(dropped, version_id, deadline)

    async def _take(
        self, dropped: Dropped, version_id: str | None, deadline: Deadline
    ) -> tuple[list[Taken], TakenPair | None]:
        """Return the outcomes, and the pair for a delivery that waits for this one."""
        try:
            if dropped.half is Half.SIDECAR:
                return await self._take_sidecar(dropped, deadline)
            document = await self._inbox.document(dropped)
        except ObjectTooLargeError as error:
            sidecar = await self._inbox.sidecar_of(dropped)
            return [await self._records.park_sidecar(dropped, sidecar, error)], None
        if document is None and not dropped.may_stand_alone:
            return [], None
        taken = await self._process(dropped, version_id, document, deadline)
        return ([], None) if taken is None else ([taken], _pair(dropped, document, taken))

    async def _take_sidecar(
        self, sidecar: Dropped, deadline: Deadline
    ) -> tuple[list[Taken], TakenPair | None]:
        """Take each image beside a sidecar, as it is now and in every version that waits."""
        document, (images, others) = await both(
            self._inbox.document(sidecar), self._inbox.beside(sidecar)
        )
        if document is None:
            await self._records.waiting.remove((sidecar, None))
            return [Taken(Outcome.IGNORED)], None
        if sidecar.image_key is not None and others:
            return [await self._park_second(sidecar)], None
        taken: list[Taken] = []
        done: set[tuple[str, str | None]] = set()
        listed: Sequence[str] | None = None
        for image in images:
            found = await self._take_beside(sidecar, image, None, document, deadline)
            stored = found[0].stored if found else None
            listed = stored.listed if stored else None
            done |= {(image.key, version) for version in (stored.versions if stored else [None])}
            taken += found
        # Listed behind the readings: what comes to wait later finds the sidecar itself.
        if listed is None:
            listed = await self._records.waiting.listed(sidecar)
        for half in await self._records.waiting.read(listed):
            older, version = self._inbox.find(half.key), half.version_id
            if older and older.half is Half.IMAGE and (older.key, version) not in done:
                taken += await self._take_beside(sidecar, older, version, document, deadline)
        if sidecar.image_key is not None and images:  # their names may have less in common
            await self._records.waiting.remove((sidecar, None))
        taken += [await self._park_second(other) for other in others]
        is_pair = len(taken) == len(images) == 1
        return taken, _pair(images[0], document, taken[0]) if is_pair else None

    async def _park_second(self, sidecar: Dropped) -> Taken:
        """Park the sidecar of one image beside the one that counts, for it may say otherwise."""
        return await self._records.park(Failure(sidecar, InvalidMetadataError((_SECOND,))))

    async def _take_beside(
        self,
        sidecar: Dropped,
        image: Dropped,
        version_id: str | None,
        document: Tagged,
        deadline: Deadline,
    ) -> list[Taken]:
        try:
            taken = await self._process(image, version_id, document, deadline)
        except ObjectNotReadableError:  # the image waits to be opened, not its sidecar
            await self._records.waiting.add(image, version_id)
            await self._records.waiting.remove((sidecar, None))
            return [Taken(Outcome.WAITING)]
        return [] if taken is None else [taken]

    async def _process(
        self, image: Dropped, version_id: str | None, document: Tagged | None, deadline: Deadline
    ) -> Taken | None:
        taken = await self._images.process(image, version_id, document, deadline)
        if taken is not None and taken.has_reading:
            # Another gateway may have read it meanwhile, and looked for what is parked before.
            taken = await self._images.process(image, version_id, document, deadline)
        if taken is not None and taken.stored is not None:  # its own bytes have left their room
            await self._superseding.settle(image, taken.stored.sha256, taken.stored.answer)
        return taken


def _pair(image: Dropped, document: Tagged | None, taken: Taken) -> TakenPair | None:
    """Return the pair that was taken; None where another delivery finds more to do."""
    if taken.stored is None or taken.stored.listed or document is None:
        return None
    tags = {image.reference: taken.stored.tag, image.sidecar.reference: document.tag}
    return TakenPair(
        taken.stored.answer.record.study_id, {name: bare(tag) for name, tag in tags.items()}
    )
