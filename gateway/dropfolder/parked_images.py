"""Parked images of the drop folder, each told in the view of its study until it is mended."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.errors import (
    RadStreamError,
    StudyBeingDeletedError,
    StudyConflictError,
    StudyNotFoundError,
    UnreadableDocumentError,
)
from gateway.schemas.metadata import is_study_id
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.studies.refused_images import identity_faults

if TYPE_CHECKING:
    from gateway.dropfolder.objects import Dropped
    from gateway.results.deletion import Deletion
    from gateway.results.store import ResultStore
    from gateway.schemas.parked import ParkedItem
    from gateway.studies.study import StudyImage
    from gateway.work.parked import Parking

# Nobody sees such a study, or it cannot be shown whatever is parked.
_NOT_SHOWN = (StudyNotFoundError, StudyBeingDeletedError, UnreadableDocumentError)


class ParkedImages:
    """Parks images, and has the views of their studies tell of it.

    The entry is written behind the item and removed before it: whoever dies on the way leaves what
    the next delivery ends.

    Parameters
    ----------
    parking
        The items.
    results, deletion
        Keep the studies.
    """

    def __init__(self, parking: Parking, results: ResultStore, deletion: Deletion) -> None:
        self._parking = parking
        self._results = results
        self._deletion = deletion

    async def park(
        self,
        dropped: Dropped,
        version_id: str | None,
        error: RadStreamError,
        *,
        study_id: str | None = None,
        sha256: str | None = None,
        image: StudyImage | None = None,
    ) -> ParkedItem:
        """Return the item as it is parked now; see `Parking.park`.

        Parameters
        ----------
        sha256
            Of an image whose bytes could be read.
        image
            What its metadata say, where they are valid.
        """
        of = study_id if sha256 is not None and _is_known_to_be_of(study_id, error) else None
        before = await self._parking.of(dropped)
        if before is not None and (before.study_id, before.sha256) != (of, sha256):
            await self._forget(before)
        item = await self._parking.park(
            dropped, version_id, error, study_id=study_id, sha256=sha256
        )
        if of is not None and sha256 is not None and not await self._deletion.was_deleted(of):
            entry = NotProcessedDocument(
                part=dropped.key.rpartition("/")[2],
                sha256=sha256,
                problem=item.problem,
                received_at=item.parked_at,
                view=image.metadata.view if image else None,
                sop_instance_uid=image.uids.instance if image else None,
                parked=item.id,
            )
            with suppress(*_NOT_SHOWN):
                await self._results.note_parked(of, entry)
        return item

    async def clear(self, *taken: Dropped) -> None:
        """Remove the items of objects of one pair that were taken after all."""
        await self._parking.clear(*taken, first=self._forget)

    async def forget(self, parked_id: str) -> None:
        """Tell no more of an item that is discarded.

        Raises
        ------
        ParkedItemNotFoundError
        """
        await self._forget(await self._parking.item(parked_id))

    async def _forget(self, item: ParkedItem) -> None:
        if item.sha256 is None or not is_study_id(item.study_id):
            return
        with suppress(*_NOT_SHOWN):
            await self._results.forget_parked(item.study_id, item.sha256, item.id)


def _is_known_to_be_of(study_id: str | None, error: RadStreamError) -> bool:
    """Return True if the image is the study's, as far as its faults say.

    What contradicts the study may be of another patient, and is told to the operator alone.
    """
    if not is_study_id(study_id):
        return False
    return not isinstance(error, StudyConflictError) and not identity_faults(error)
