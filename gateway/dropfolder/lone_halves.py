"""Halves that wait for their other half though it could not mend them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.errors import Fault, InvalidMetadataError, ObjectNotFoundError
from gateway.schemas.metadata import STUDY_ID_PATTERN, parse_document
from gateway.schemas.parked import Half

if TYPE_CHECKING:
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.storage.protocol import Reserve
    from gateway.studies.imaging import Imaging


_STUDY_ID = re.compile(STUDY_ID_PATTERN)
_NO_STUDY_ID = (
    "is to be the name of the folder, which is none: rename it to 1 to 64 letters A to Z, digits, "
    "'.', '_' and '-', without accents and not beginning with a dot"
)


def check_folder(half: Dropped) -> None:
    """Hold the folder that a half lies in to being the name of a study.

    Raises
    ------
    InvalidMetadataError
    """
    if half.study_folder is not None and not _STUDY_ID.fullmatch(half.study_folder):
        raise InvalidMetadataError((Fault("/study_id", _NO_STUDY_ID),))


class LoneHalves:
    """Looks at a half by itself.

    Parameters
    ----------
    inbox
        Where it is.
    imaging
        Decodes images.
    """

    def __init__(self, inbox: Inbox, imaging: Imaging) -> None:
        self._inbox = inbox
        self._imaging = imaging

    async def check(self, half: Dropped, version_id: str | None, *, reserve: Reserve) -> None:
        """Hold an image to its pixels, and a sidecar to being a JSON object.

        Parameters
        ----------
        reserve
            Makes room for an image's bytes before they are read.

        Raises
        ------
        UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError
        ImagesWithoutContrastError
            No sidecar makes this a picture that is read.
        ObjectTooLargeError, InvalidKeyError
            It is not read at all.
        InvalidMetadataError
            No image makes this a sidecar, or its folder can be of no study.
        StoreUnavailableError
        """
        check_folder(half)
        try:
            if half.half is Half.IMAGE:
                data = await self._inbox.image(half, version_id, reserve=reserve)
                await self._imaging.check("image", data)
            elif (document := await self._inbox.document(half)) is not None:
                parse_document(document)
        except ObjectNotFoundError:  # somebody took it away
            return
