"""Order of deliveries: files of one study are delivered in the order in which they came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import RadStreamError
from gateway.schemas.metadata import parse_document

if TYPE_CHECKING:
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.studies.imaging import Imaging


class DeliveryOrder:
    """Names the study of each dropped file.

    Of two files that contradict each other the first is right, and they can contradict each other
    in one study only.

    Parameters
    ----------
    inbox, imaging
        Read the files.
    """

    def __init__(self, inbox: Inbox, imaging: Imaging) -> None:
        self._inbox = inbox
        self._imaging = imaging

    async def study(self, dropped: Dropped) -> str:
        """Return the study_id, or the name of the pair where it cannot be told yet."""
        if dropped.study_folder is not None:
            return dropped.study_folder
        try:
            study_id = await self._study_id(dropped)
        except RadStreamError:  # told when it is delivered
            study_id = None
        return study_id if isinstance(study_id, str) else dropped.stem

    async def _study_id(self, dropped: Dropped) -> object:
        document = await self._inbox.document(dropped)
        study_id = parse_document(document.data).get("study_id") if document is not None else None
        if study_id is not None or not dropped.may_stand_alone:
            return study_id
        if await self._inbox.is_left_alone(dropped):
            return None
        image = await self._inbox.image(dropped, None, reserve=_at_once)
        header = await self._imaging.dicom_metadata("image", image.data)
        return header and header.study_instance_uid


async def _at_once(_size: int) -> None:
    """Make no room: one file is looked at at a time."""
