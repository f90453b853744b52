"""Records of pairs that are not taken: halves that wait, and what is parked.

What is parked has a mark beside the notes of what waits, so that one listing of the pair tells of
both. Of a parked image the view of its study tells as well. The mark and the entry in the view are
written behind the item, and removed before and behind it: a gateway that dies on the way leaves
what the next delivery ends.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.dropfolder.outcome import Taken
from gateway.errors import (
    RadStreamError,
    StudyBeingDeletedError,
    StudyConflictError,
    StudyNotFoundError,
    UnreadableDocumentError,
)
from gateway.schemas.events import Outcome
from gateway.schemas.metadata import is_study_id
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.parked import Half
from gateway.studies.refused_images import identity_faults

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.dropfolder.waiting import Version, WaitingHalves
    from gateway.results.deletion import Deletion
    from gateway.results.store import ResultStore
    from gateway.schemas.parked import ParkedItem
    from gateway.studies.study import StudyImage
    from gateway.work.parked import Parking

# Such a study is shown to no one, or cannot be shown whatever is parked.
_NOT_SHOWN = (StudyNotFoundError, StudyBeingDeletedError, UnreadableDocumentError)


@dataclass(frozen=True, slots=True)
class Failure:
    """An object that failed for good.

    Parameters
    ----------
    dropped, error
        The object, and the reason.
    versions
        Versions under which it may have been noted as waiting; the first is the one that failed.
    study_id
        Study that it is said to be of.
    sha256
        SHA-256 of an image whose bytes could be read.
    image
        Metadata of the image, where they are valid.
    """

    dropped: Dropped
    error: RadStreamError
    versions: Sequence[str | None] = (None,)
    study_id: str | None = None
    sha256: str | None = None
    image: StudyImage | None = None

    @property
    def told_in(self) -> str | None:
        """Study whose view is to tell of the image; None where it may be another patient's.

        What contradicts the study is told to the operator alone.
        """
        if self.sha256 is None or not is_study_id(self.study_id):
            return None
        contradicts = isinstance(self.error, StudyConflictError) or identity_faults(self.error)
        return None if contradicts else self.study_id


class PairRecords:
    """Notes of what waits, parked items, and entries in the views of studies, kept in step.

    Parameters
    ----------
    inbox
        Finds the objects that notes name.
    waiting, parking
        The notes and the items.
    results, deletion
        Studies whose views tell of parked images.
    """

    def __init__(
        self,
        inbox: Inbox,
        waiting: WaitingHalves,
        parking: Parking,
        results: ResultStore,
        deletion: Deletion,
    ) -> None:
        self.waiting = waiting
        self._inbox = inbox
        self._parking = parking
        self._results = results
        self._deletion = deletion

    async def park(self, failure: Failure) -> Taken:
        """Park an object, which waits no longer, in place of an older item of it."""
        dropped, of = failure.dropped, failure.told_in
        before = await self._parking.of(dropped)
        if before is not None and (before.study_id, before.sha256) != (of, failure.sha256):
            await self._untell(before)
        item = await self._parking.park(
            dropped,
            failure.versions[0],
            failure.error,
            study_id=failure.study_id,
            sha256=failure.sha256,
        )
        await self.waiting.mark_parked(dropped)
        has_reading = of is not None and await self._tell(of, failure, item)
        listed = await self.waiting.listed(dropped)
        # What was parked of an image's sidecar alone is told with the image.
        is_image = dropped.half is Half.IMAGE
        beside = await self._sidecars(dropped, listed) if is_image else []
        waited = [(dropped, version) for version in failure.versions]
        await self._remove(listed, waited, beside)
        return Taken(Outcome.PARKED, parked=item, has_reading=has_reading)

    async def park_sidecar(
        self, dropped: Dropped, sidecar: Dropped, error: RadStreamError
    ) -> Taken:
        """Park the sidecar of a pair, whose half was delivered, alone, however many images it has.

        The images are found beside it when it is mended; older versions of them wait for that.
        """
        halves = await self.waiting.read(await self.waiting.listed(dropped))
        images = [self._inbox.find(half.key) for half in halves if half.version_id is None]
        await self.waiting.remove((dropped, None), *((image, None) for image in images if image))
        return await self.park(Failure(sidecar, error))

    async def clear(
        self, image: Dropped, versions: Collection[str | None], listed: Sequence[str]
    ) -> None:
        """Remove what waited and was parked of an image that was taken, and of its sidecar.

        Parameters
        ----------
        versions
            Versions under which it may have waited.
        listed
            Records of the pair, listed when the image's reading was stored.
        """
        waited = [(image, version) for version in versions]
        sidecars = await self._sidecars(image, listed)
        waited += [(sidecar, None) for sidecar in sidecars]
        await self._remove(listed, waited, [image, *sidecars])

    async def clear_item(self, dropped: Dropped) -> None:
        """Remove the parked item of an object, whether it is marked or not."""
        await self._parking.clear(dropped, first=self._untell)
        await self.waiting.unmark(dropped)

    async def discard(self, item: ParkedItem) -> None:
        """Remove the entry and the mark of an item that is to be discarded."""
        await self._untell(item)
        if (dropped := self._inbox.find(item.key)) is not None:
            await self.waiting.unmark(dropped)

    async def _sidecars(self, image: Dropped, listed: Sequence[str]) -> list[Dropped]:
        """Return the sidecars of an image, but for one that is parked as the second of two."""
        own = image.own_sidecar
        is_parked = self.waiting.is_marked(own, listed)
        if is_parked and await self._inbox.has_two_sidecars(image):
            return [image.sidecar]
        return [image.sidecar, own]

    async def _remove(
        self, listed: Sequence[str], waited: Sequence[Version], parked: Sequence[Dropped]
    ) -> None:
        marked = [dropped for dropped in parked if self.waiting.is_marked(dropped, listed)]
        if marked:
            await self._parking.clear(*marked, first=self._untell)
        await self.waiting.forget(listed, waited, marked)

    async def _tell(self, study_id: str, failure: Failure, item: ParkedItem) -> bool:
        """Have the study's view tell of a parked image; return True if it has a reading of it."""
        if failure.sha256 is None or await self._deletion.was_deleted(study_id):
            return False
        entry = NotProcessedDocument(
            part=failure.dropped.key.rpartition("/")[2],
            sha256=failure.sha256,
            problem=item.problem,
            received_at=item.parked_at,
            view=failure.image.metadata.view if failure.image else None,
            sop_instance_uid=failure.image.uids.sop_instance_uid if failure.image else None,
            parked=item.id,
        )
        with suppress(*_NOT_SHOWN):
            record = await self._results.note_parked(study_id, entry)
            return await self._results.has_image(record, failure.sha256)
        return False

    async def _untell(self, item: ParkedItem) -> None:
        if item.sha256 is None or not is_study_id(item.study_id):
            return
        with suppress(*_NOT_SHOWN):
            await self._results.forget_parked(item.study_id, item.sha256, item.id)
