"""Records of pairs that are not taken: halves that wait, and what is parked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.dropfolder.outcome import Taken
from gateway.runtime.concurrency import together
from gateway.schemas.events import Outcome
from gateway.schemas.parked import Half

if TYPE_CHECKING:
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.dropfolder.parked_images import ParkedImages
    from gateway.dropfolder.waiting import WaitingHalves
    from gateway.errors import RadStreamError
    from gateway.studies.study import StudyImage
    from gateway.work.parked import Parking


class PairRecords:
    """Keeps what waits and what is parked of a pair in step.

    Parameters
    ----------
    inbox
        Says which halves belong together.
    waiting, parking
        The records.
    parked_images
        Parks images so that the views of their studies tell it.
    """

    def __init__(
        self, inbox: Inbox, waiting: WaitingHalves, parking: Parking, parked_images: ParkedImages
    ) -> None:
        self.waiting = waiting
        self._inbox = inbox
        self._parking = parking
        self._parked_images = parked_images

    async def park(
        self,
        dropped: Dropped,
        version_id: str | None,
        error: RadStreamError,
        *,
        study_id: str | None = None,
        sha256: str | None = None,
        image: StudyImage | None = None,
    ) -> Taken:
        """Park an object, which waits no longer; see `ParkedImages.park`."""
        item = await self._parked_images.park(
            dropped, version_id, error, study_id=study_id, sha256=sha256, image=image
        )
        await self.waiting.remove((dropped, version_id))
        if dropped.half is Half.IMAGE:  # what was parked of its sidecar alone is told with it
            await self._parking.clear(self._inbox.sidecar_of(dropped))
        return Taken(Outcome.PARKED, parked=item)

    async def park_sidecar(self, dropped: Dropped, error: RadStreamError) -> Taken:
        """Park the sidecar of a pair alone, however many images it is for.

        The images are found beside it when it is mended; older versions of them wait for that.
        """
        waiting = await self.waiting.beside(dropped)
        images = [self._inbox.find(half.key) for half in waiting if half.version_id is None]
        await self.waiting.remove((dropped, None), *((image, None) for image in images if image))
        return await self.park(self._inbox.sidecar_of(dropped), None, error)

    async def clear(self, image: Dropped, version_id: str | None) -> None:
        """Forget what waited and was parked of an image that was taken."""
        sidecar = self._inbox.sidecar_of(image)
        await together(
            [
                self.waiting.remove((image, version_id), (sidecar, None)),
                self._parked_images.clear(image, sidecar),
            ]
        )
