"""The drop folder as its senders see it: images and sidecars, and which belong together.

``{study_id}/{name}.jpg`` (or ``.jpeg``, ``.png``, ``.dcm``, ``.dicom`` and other endings of
pictures) lies beside its sidecar ``{study_id}/{name}.json``, with endings in any case, or
``{study_id}/{name}.jpg.json``, which is of this one image; both may also lie outside of any study's
folder. A name without an ending or with a number as its last part
(``IM000001``, ``1.2.3``) is an image if its bytes are DICOM's. Everything else is left alone. In a
bucket all this lies under ``images/``. Names that Unicode holds to be the same (composed or
decomposed) are one name.
"""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from gateway.errors import ObjectNotFoundError, ObjectNotReadableError
from gateway.observability.pseudonyms import key_reference
from gateway.schemas.parked import Half
from gateway.studies.imaging import is_dicom

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from gateway.storage.protocol import ObjectStore, Reserve, Tagged
    from gateway.studies.study import Route

# Caller of whose share of the gateway the drop folder's work takes, whatever brings the events.
SHARE = "drop folder"

SIDECAR_ENDING = "json"
_DICOM = frozenset({"dcm", "dicom", "dic", "dc3", "ima"})
# Pictures that are read, and those that are refused by their format's name once they are looked at.
IMAGE_ENDINGS = _DICOM | {
    *("jpg", "jpeg", "jpe", "jfif", "png"),
    *("jxl", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx", "jph", "jhc", "jls", "jxr"),
    *("tif", "tiff", "bmp", "gif", "webp", "heic", "heif", "avif"),
}
# The table of contents of a medium that DICOM files came on (PS3.10, section 8.6).
_DIRECTORY = "DICOMDIR"
# What tells DICOM from anything else stands in the first 132 bytes, or in the first elements.
_HEAD_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Dropped:
    """An object of the drop folder.

    Parameters
    ----------
    key
        In its store.
    base
        The key without its ending, as it is spelt.
    study_folder
        The folder it lies in, which is to be its study_id; None outside of any.
    half
        Image or sidecar.
    may_stand_alone
        True if it is named as a DICOM file, which needs no sidecar.
    is_unnamed
        True if only its bytes can tell that it is a DICOM file; see `Inbox.is_left_alone`.
    image_key
        Key of the one image that a sidecar is of by its name, ``front.jpg.json``.
    """

    key: str
    base: str
    study_folder: str | None
    half: Half
    may_stand_alone: bool = False
    is_unnamed: bool = False
    image_key: str | None = None

    @property
    def stem(self) -> str:
        """Name that an image and its sidecar have in common, however each is spelt."""
        return _composed(self.base)

    @property
    def sidecar(self) -> Dropped:
        """Sidecar that belongs to an image, as it is usually spelt; a sidecar itself."""
        if self.half is Half.SIDECAR:
            return self
        return Dropped(f"{self.base}.{SIDECAR_ENDING}", self.base, self.study_folder, Half.SIDECAR)

    @property
    def own_sidecar(self) -> Dropped:
        """Sidecar that is an image's alone."""
        key = f"{self.key}.{SIDECAR_ENDING}"
        return Dropped(key, self.base, self.study_folder, Half.SIDECAR, image_key=self.key)

    def is_for(self, image: Dropped) -> bool:
        """Return True if a sidecar is an image's by their names."""
        if self.image_key is None:
            return self.stem == image.stem
        return _composed(self.image_key) == _composed(image.key)

    @property
    def reference(self) -> str:
        """Name for the object that can stand in a key and tells nothing."""
        if self.half is Half.SIDECAR:
            return key_reference(f"{_composed(self.image_key or self.base)}.{SIDECAR_ENDING}")
        return key_reference(_composed(self.key))

    @property
    def pair_reference(self) -> str:
        """Name for the object and all that belongs to it."""
        return key_reference(self.stem)


class Inbox:
    """Reads the drop folder; never writes to it.

    Parameters
    ----------
    objects
        Store of the folder.
    prefix
        Of its keys: empty, or ending in a slash.
    route
        Way in of its studies.
    image_bytes, metadata_bytes
        Lengths of the longest image and sidecar taken.
    is_ours
        Returns True for the path, below the root, of an object that is to be taken; the others
        are as though they did not exist. None takes all.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        prefix: str,
        route: Route,
        image_bytes: int,
        metadata_bytes: int,
        is_ours: Callable[[str], bool] | None = None,
    ) -> None:
        self._is_ours = is_ours
        self.route = route
        self._objects = objects
        self._prefix = prefix
        self._image_bytes = image_bytes
        self._metadata_bytes = metadata_bytes

    def path_of(self, dropped: Dropped) -> str:
        """Return the path of an object below the drop folder's root."""
        return dropped.key.removeprefix(self._prefix)

    def find(self, key: str) -> Dropped | None:
        """Return the object that the key names; None where it is no image and no sidecar."""
        path = key.removeprefix(self._prefix)
        is_ours = self._is_ours is None or self._is_ours(path)
        if not (key.startswith(self._prefix) and is_ours):
            return None
        *folders, name = path.split("/")
        if len(folders) > 1 or any(step[:1] in {"", "."} for step in (*folders, name)):
            return None  # too deep, an empty step, or a hidden file: half-copied ones often are
        folder = _composed(folders[0]) if folders else None
        _, dot, extension = name.rpartition(".")
        base = key.removesuffix(f"{dot}{extension}")
        kind = extension.lower() if dot else ""
        if kind == SIDECAR_ENDING:
            of_one = self._image_named(base)
            return Dropped(
                key,
                of_one.base if of_one else base,
                folder,
                Half.SIDECAR,
                image_key=of_one.key if of_one else None,
            )
        if kind in IMAGE_ENDINGS:
            return Dropped(key, base, folder, Half.IMAGE, may_stand_alone=kind in _DICOM)
        if name.upper() != _DIRECTORY and (not dot or (kind.isascii() and kind.isdecimal())):
            return Dropped(key, key, folder, Half.IMAGE, may_stand_alone=True, is_unnamed=True)
        return None

    async def is_left_alone(self, dropped: Dropped, version_id: str | None = None) -> bool:
        """Return True if the object's name does not tell what it is, and it is not DICOM.

        Raises
        ------
        InvalidKeyError, StoreUnavailableError
        """
        if not dropped.is_unnamed:
            return False
        try:
            head = await self._objects.beginning(dropped.key, _HEAD_BYTES, version_id=version_id)
        except ObjectNotFoundError:
            return True
        except ObjectNotReadableError:  # told when it can be read
            return False
        return not is_dicom(head)

    def _image_named(self, key: str) -> Dropped | None:
        """Return the image that a key names by its ending."""
        image = self.find(key)
        is_image = image is not None and image.half is Half.IMAGE and not image.is_unnamed
        return image if is_image else None

    async def images_of(self, dropped: Dropped) -> list[Dropped]:
        """Return all images that lie beside a sidecar now, by key."""
        images, _ = await self.beside(dropped)
        return images

    async def beside(self, dropped: Dropped) -> tuple[list[Dropped], list[Dropped]]:
        """Return all images that lie beside a sidecar now, and the other sidecars of them, by key.

        Others are those of one image beside the one of all, and the other way round.
        """
        found = await self._named_alike(dropped)
        images = [item for item in found if item.half is Half.IMAGE and dropped.is_for(item)]
        if images:
            others = (item for item in found if item.half is Half.SIDECAR)
            return images, [item for item in others if _rival(item, dropped, images)]
        if dropped.image_key is not None:  # front.jpg.jpg, which is often shown as front.jpg
            return await self.beside(replace(dropped, base=dropped.image_key, image_key=None))
        unnamed = [item for key in _spellings(dropped.base) if (item := self.find(key))]
        unnamed = [item for item in unnamed if item.is_unnamed]
        return [item for item in unnamed if not await self.is_left_alone(item)], []

    async def _named_alike(self, dropped: Dropped) -> list[Dropped]:
        """Return the objects of that name with some ending, by key."""
        keys = [
            key
            for spelling in _spellings(dropped.base)
            for key in await self._objects.keys(f"{spelling}.")
        ]
        found = filter(None, map(self.find, keys))
        return [item for item in found if item.stem == dropped.stem]

    async def document(self, dropped: Dropped) -> Tagged | None:
        """Return the sidecar as it is now; None where there is none.

        Raises
        ------
        ObjectTooLargeError, ObjectNotReadableError, InvalidKeyError, StoreUnavailableError
        """
        async for key in self._sidecar_keys(dropped):
            try:
                return await self._objects.read_tagged(key, limit_bytes=self._metadata_bytes)
            except ObjectNotFoundError:
                continue
        return None

    async def sidecar_of(self, dropped: Dropped) -> Dropped:
        """Return the sidecar of an image as it is spelt, or would be; a sidecar itself.

        Raises
        ------
        ObjectNotReadableError, InvalidKeyError, StoreUnavailableError
        """
        return await self._sidecar_found(dropped) or dropped.sidecar

    async def has(self, dropped: Dropped, version_id: str | None) -> bool:
        """Return True if the object is there, in this version or as it is now.

        Raises
        ------
        ObjectNotReadableError, InvalidKeyError, StoreUnavailableError
        """
        try:
            await self._objects.beginning(dropped.key, 1, version_id=version_id)
        except ObjectNotFoundError:
            return False
        return True

    async def has_sidecar(self, image: Dropped) -> bool:
        """Return True if a sidecar of an image is there now; see `sidecar_of`."""
        return await self._sidecar_found(image) is not None

    async def _sidecar_found(self, dropped: Dropped) -> Dropped | None:
        async for key in self._sidecar_keys(dropped):
            with suppress(ObjectNotFoundError):
                await self._objects.beginning(key, 1)
                return self.find(key) or dropped.sidecar
        return None

    async def has_two_sidecars(self, image: Dropped) -> bool:
        """Return True if a sidecar of an image alone lies beside the one that counts."""
        found = await self._named_alike(image)
        own = [
            item.image_key is not None
            for item in found
            if item.half is Half.SIDECAR and item.is_for(image)
        ]
        return True in own and False in own

    async def _sidecar_keys(self, dropped: Dropped) -> AsyncIterator[str]:
        """Yield the keys that the sidecar may have: its usual spellings, then whatever is there.

        A DICOM file mostly has none, and its folder is not listed for that. A sidecar of an unusual
        spelling finds the file when it is delivered itself.
        """
        usual = [dropped.sidecar.key] + [
            f"{spelling}.{ending}"
            for spelling in _spellings(dropped.base)
            for ending in (SIDECAR_ENDING, SIDECAR_ENDING.upper())
        ]
        if dropped.half is Half.IMAGE:
            usual.append(dropped.own_sidecar.key)
        for key in dict.fromkeys(usual):
            yield key
        if not dropped.may_stand_alone:
            for item in await self._named_alike(dropped):
                if item.half is Half.SIDECAR and item.key not in usual and item.is_for(dropped):
                    yield item.key

    async def image(self, image: Dropped, version_id: str | None, *, reserve: Reserve) -> Tagged:
        """Return the image, in this version or as it is now.

        Parameters
        ----------
        reserve
            Makes room for the bytes before they are read.

        Raises
        ------
        ObjectNotFoundError
            It was taken away.
        ObjectTooLargeError, ObjectNotReadableError, InvalidKeyError, StoreUnavailableError
        """
        return await self._objects.read_tagged(
            image.key, limit_bytes=self._image_bytes, version_id=version_id, reserve=reserve
        )


def _rival(other: Dropped, sidecar: Dropped, images: Iterable[Dropped]) -> bool:
    is_of_one = other.image_key is not None
    return is_of_one is (sidecar.image_key is None) and any(map(other.is_for, images))


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _spellings(path: str) -> list[str]:
    """Return the path as it is, and with each of its steps composed and decomposed.

    Linux keeps names as they are given, and macOS gives them decomposed.
    """
    if path.isascii():
        return [path]
    steps = [
        {unicodedata.normalize(form, step) for form in ("NFC", "NFD")} for step in path.split("/")
    ]
    return list(dict.fromkeys([path, *map("/".join, product(*map(sorted, steps)))]))
