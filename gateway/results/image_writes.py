"""Images on their way into the store while their readings are being made.

An image is written before any reading names it, and beside the inference: it is under a name of its
own, so that its writer may remove it where no reading comes of it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import RadStreamError
from gateway.results.keys import image_folder, new_image_name
from gateway.runtime.concurrency import to_its_end

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from gateway.storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image that no reading names yet.

    Parameters
    ----------
    object
        Name of its object, where it was stored before; None where it is to be stored.
    """

    sha256: str
    media_type: str
    data: bytes | memoryview
    object: str | None = None


class ImageWrites:
    """The writes of a request's new images, which begin at once.

    Images that were stored before are another's: they are neither written nor removed.

    Attributes
    ----------
    names
        Of the objects, in the order of the images: the last parts of their keys.
    """

    def __init__(self, objects: ObjectStore, study_id: str, images: Sequence[NewImage]) -> None:
        self._objects = objects
        self.names = [image.object or new_image_name(image.media_type) for image in images]
        written = [
            (name, image)
            for name, image in zip(self.names, images, strict=True)
            if image.object is None
        ]
        self._keys = {
            name: f"{image_folder(study_id, image.sha256)}{name}" for name, image in written
        }
        self._tasks = [
            asyncio.create_task(
                objects.replace(self._keys[name], image.data, media_type=image.media_type)
            )
            for name, image in written
        ]

    async def done(self) -> None:
        """Return once all are durable.

        Raises
        ------
        StoreUnavailableError
        """
        for task in self._tasks:
            await task

    async def remove(self, kept: Container[str] = ()) -> None:
        """Remove the images that were written again, but for those of the names that are kept.

        One that cannot be removed stays until its study goes; `radstream verify` tells of it.
        """
        if lost := [name for name in self._keys if name not in kept]:
            await to_its_end(self._remove(lost))

    async def _remove(self, names: Sequence[str]) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for name in names:
            with suppress(RadStreamError):
                await self._objects.delete(self._keys[name])
