"""The drop folder as its senders see it: images and sidecars, and which belong together.

``{study_id}/{name}.jpg`` (or ``.jpeg``, ``.png``, ``.dcm``, in any case) lies beside its sidecar
``{study_id}/{name}.json``; both may also lie outside of any study's folder. Everything else is
nobody's business here. In a bucket all this lies under ``images/``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import ObjectNotFoundError
from gateway.schemas.pairing import Half

if TYPE_CHECKING:
    from gateway.clients.protocols import ObjectStore, Reserve
    from gateway.services.study import Route

_SIDECAR = "json"
_DICOM = "dcm"
_IMAGES = frozenset({"jpg", "jpeg", "png", _DICOM})


@dataclass(frozen=True, slots=True)
class Dropped:
    """An object of the drop folder.

    Parameters
    ----------
    key
        In its store.
    stem
        The key without its extension: what an image and its sidecar have in common.
    study_folder
        The folder it lies in, which is to be its study_id; None outside of any.
    half
        What it is.
    may_stand_alone
        Whether it is named as a DICOM file, which needs no sidecar.
    """

    key: str
    stem: str
    study_folder: str | None
    half: Half
    may_stand_alone: bool = False

    @property
    def reference(self) -> str:
        """A name for the object that can stand in a key and tells nothing."""
        return _reference(self.key)

    @property
    def pair_reference(self) -> str:
        """A name for the object and all that belongs to it."""
        return _reference(self.stem)


class Inbox:
    """Reads the drop folder; never writes to it.

    Parameters
    ----------
    objects
        Where the folder is.
    prefix
        Of its keys: empty, or ending in a slash.
    route
        How its studies come in.
    image_bytes, metadata_bytes
        The longest image and sidecar taken.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        prefix: str,
        route: Route,
        image_bytes: int,
        metadata_bytes: int,
    ) -> None:
        self.route = route
        self._objects = objects
        self._prefix = prefix
        self._image_bytes = image_bytes
        self._metadata_bytes = metadata_bytes

    def find(self, key: str) -> Dropped | None:
        """What the key says of its object; None where it is no image and no sidecar."""
        if not key.startswith(self._prefix):
            return None
        *folders, name = key.removeprefix(self._prefix).split("/")
        base, dot, extension = name.rpartition(".")
        if not dot or not base or any(step[:1] in {"", "."} for step in (*folders, base)):
            return None  # no extension, an empty step, or a hidden file: half-copied ones often are
        if len(folders) > 1:
            return None
        stem = key.removesuffix(f".{extension}")
        folder = folders[0] if folders else None
        if extension == _SIDECAR:
            return Dropped(key, stem, folder, Half.SIDECAR)
        if extension.lower() in _IMAGES:
            return Dropped(key, stem, folder, Half.IMAGE, extension.lower() == _DICOM)
        return None

    def sidecar_of(self, dropped: Dropped) -> Dropped:
        """The sidecar that belongs to an image; a sidecar itself."""
        return Dropped(
            f"{dropped.stem}.{_SIDECAR}", dropped.stem, dropped.study_folder, Half.SIDECAR
        )

    async def images_of(self, dropped: Dropped) -> list[Dropped]:
        """All images that lie beside a sidecar now, by key."""
        keys = await self._objects.keys(f"{dropped.stem}.")
        found = filter(None, map(self.find, keys))
        return [item for item in found if item.half is Half.IMAGE and item.stem == dropped.stem]

    async def document(self, dropped: Dropped) -> bytes | None:
        """The sidecar's bytes as they are now; None where there is no sidecar.

        Raises
        ------
        ObjectTooLargeError, InvalidKeyError, StoreUnavailableError
        """
        try:
            return await self._objects.read(
                self.sidecar_of(dropped).key, limit_bytes=self._metadata_bytes
            )
        except ObjectNotFoundError:
            return None

    async def image(self, image: Dropped, version_id: str | None, *, reserve: Reserve) -> bytes:
        """The image's bytes, in this version or as they are now.

        Parameters
        ----------
        reserve
            Makes room for the bytes before they are read.

        Raises
        ------
        ObjectNotFoundError
            Somebody took it away.
        ObjectTooLargeError, InvalidKeyError, StoreUnavailableError
        """
        return await self._objects.read(
            image.key, limit_bytes=self._image_bytes, version_id=version_id, reserve=reserve
        )


def _reference(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
