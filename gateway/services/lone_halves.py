"""Halves that wait for their other half though it could not mend them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import ObjectNotFoundError
from gateway.schemas.metadata import parse_document
from gateway.schemas.pairing import Half

if TYPE_CHECKING:
    from gateway.clients.protocols import Reserve
    from gateway.services.imaging import Imaging
    from gateway.services.inbox import Dropped, Inbox


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
            No image makes this a sidecar.
        StoreUnavailableError
        """
        try:
            if half.half is Half.IMAGE:
                data = await self._inbox.image(half, version_id, reserve=reserve)
                await self._imaging.check("image", data)
            elif document := await self._inbox.document(half):
                parse_document(document)
        except ObjectNotFoundError:  # somebody took it away
            return
