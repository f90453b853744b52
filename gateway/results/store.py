"""What is kept of a study: written once under content-addressed keys, and the view made of it.

Under ``results/{study_id}/``:

``study.json``
    A `StudyDocument`: who the study is about, as its first document said.
``identity/{n}.json``
    Identifying attributes that a later document was the first to give; n counts from 1.
``images/{sha256}/image.{jpg,png,dcm}``
    The image as it was sent.
``images/{sha256}/{model}-{version}.json``
    A `Reading`: what one model version made of the image.
``images/{sha256}/{model}-{version}.heatmap.png``
    The heat map, for a sender who reads the store; ``.heatmap-{frame}`` where there are several.
``not_processed/{sha256}.json``
    An image that is to be sent again; see `gateway.results.not_processed`.
``names/{name}/{n}.json``
    What stands under a name of the drop folder; see `gateway.results.replaced_files`.
``result.json``
    The current view, rebuilt from the readings; the one object that is ever replaced.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from gateway.errors import Fault, ObjectNotFoundError, StudyConflictError, StudyNotFoundError
from gateway.results.documents import LaterIdentity, Reading, StudyDocument
from gateway.results.not_processed import OpenImages
from gateway.results.replaced_files import ReplacedFiles
from gateway.results.view import study_result
from gateway.runtime.concurrency import both, together
from gateway.schemas.result import StudyResult
from gateway.schemas.stored_document import IDENTITY
from gateway.storage.documents import read_document, unreadable
from preprocess import MediaType

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from gateway.errors import UnreadableDocumentError
    from gateway.schemas.metadata import StudyMetadata
    from gateway.schemas.not_processed import NotProcessedDocument
    from gateway.schemas.result import ModelVersion
    from gateway.storage.protocol import ObjectStore

D = TypeVar("D", bound=BaseModel)

JSON = "application/json"
ROOT = "results/"

EXTENSIONS = {MediaType.JPEG: "jpg", MediaType.PNG: "png", MediaType.DICOM: "dcm"}


@dataclass(frozen=True, slots=True)
class Known:
    """What the store held of a study when it was looked at.

    Parameters
    ----------
    study
        Its first document, if one came before.
    identity
        Who it is about, as far as that is known.
    claims
        How many later documents told something of that.
    readings
        Keys of what was read of it.
    open_images
        Keys of the images that are to be sent again.
    """

    study: StudyDocument | None = None
    identity: dict[str, str] = field(default_factory=dict)
    claims: int = 0
    readings: frozenset[str] = frozenset()
    open_images: frozenset[str] = frozenset()

    def read_by(self, model: ModelVersion) -> set[str]:
        """The SHA-256 of each image that this model version has read."""
        end = _reading_name(model)
        return {key.split("/")[-2] for key in self.readings if key.endswith(end)}


@dataclass(frozen=True, slots=True)
class Added:
    """What stands in the store of that which one request added.

    Parameters
    ----------
    readings
        In order: where another gateway was first, its reading.
    study
        The study's first document.
    is_new
        Whether the request began the study, so that nothing had been read of it.
    """

    readings: tuple[Reading, ...]
    study: StudyDocument
    is_new: bool


@dataclass(frozen=True, slots=True)
class View:
    """A study's current view, and what it is made of.

    Parameters
    ----------
    result
        The view.
    readings
        All of the study's, oldest first.
    standing
        What is noted to stand under names of the drop folder, as SHA-256.
    """

    result: StudyResult
    readings: tuple[Reading, ...]
    standing: Mapping[str, str]


class ResultStore:
    """Studies and their readings in an object store.

    Nothing is ever overwritten but the view, and the view can be rebuilt: two gateways that store
    the same reading at once leave one, and both answer with it.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._open_images = OpenImages(objects, ROOT)
        self._replaced_files = ReplacedFiles(objects, ROOT)

    async def known(self, metadata: StudyMetadata) -> Known:
        """What is stored under the study's id, which the metadata do not contradict.

        Of a study that is not there yet one question tells it all.

        Raises
        ------
        StudyConflictError
            With each attribute that contradicts.
        """
        known = await self._known(metadata.study_id)
        compare(metadata, known.identity)
        return known

    async def reading(self, study_id: str, sha256: str, model: ModelVersion) -> Reading:
        """What this model version made of this image.

        Raises
        ------
        ObjectNotFoundError
            It has not read it.
        """
        return await self._read(Reading, _reading_key(study_id, sha256, model))

    async def add(
        self,
        metadata: StudyMetadata,
        received_at: dt.datetime,
        images: Sequence[tuple[bytes | memoryview, Reading]],
        known: Known,
    ) -> Added:
        """Store images with their readings.

        Parameters
        ----------
        known
            What the store held of the study before.

        Raises
        ------
        StudyConflictError
            Another document came first and contradicts this one; no reading was written.
        """
        study, is_new = await self._claim_identity(metadata, received_at, known)
        readings = await together(self._add(data, reading) for data, reading in images)
        return Added(tuple(readings), study, is_new)

    async def note_open_images(
        self,
        study_id: str,
        known: Known,
        entries: Sequence[NotProcessedDocument],
        processed: Mapping[str, Reading],
        *,
        alone: bool,
    ) -> frozenset[str]:
        """Note what of a request is to be sent again, and forget what it mended.

        Parameters
        ----------
        known
            What the store held of the study before.
        entries
            What could not be processed.
        processed, alone
            What could; see `OpenImages.settle`.

        Returns
        -------
        frozenset of str
            The keys of what was noted.
        """
        if known.open_images:
            await self._open_images.settle(study_id, known.open_images, processed, alone=alone)
        return frozenset(await self._open_images.note(study_id, entries))

    async def note_parked(self, study_id: str, entry: NotProcessedDocument) -> None:
        """Note an image of the drop folder that is parked; see `OpenImages.note_parked`."""
        await self._open_images.note_parked(study_id, entry)

    async def forget_parked(self, study_id: str, sha256: str, parked_id: str) -> None:
        """Remove what is noted of a parked image; see `OpenImages.forget_parked`."""
        await self._open_images.forget_parked(study_id, sha256, parked_id)

    async def note_standing(self, study_id: str, name: str, sha256: str) -> bool:
        """Note what stands under a name of the drop folder; see `ReplacedFiles.note`."""
        return await self._replaced_files.note(study_id, name, sha256)

    async def refresh(
        self, study_id: str, *, check: Callable[[], Coroutine[object, object, None]]
    ) -> View:
        """Rebuild the view of a study to which no image was added; see `rebuild_view`."""
        study = await self._study(study_id)
        return await self.rebuild_view(study_id, Added((), study, is_new=False), check=check)

    async def rebuild(
        self, study_id: str, added: Added, *, check: Callable[[], Coroutine[object, object, None]]
    ) -> StudyResult:
        """The study's current view; see `rebuild_view`."""
        return (await self.rebuild_view(study_id, added, check=check)).result

    async def rebuild_view(
        self,
        study_id: str,
        added: Added,
        *,
        check: Callable[[], Coroutine[object, object, None]],
        noted: frozenset[str] = frozenset(),
    ) -> View:
        """The study's current view, made of all its readings and written to `result.json`.

        Parameters
        ----------
        study_id
            Of the study.
        added
            What was added just now, and is not read again.
        check
            Called after the last write, which it may take back.
        noted
            Keys of what was noted beside it.

        Raises
        ------
        StudyNotFoundError
            It was deleted meanwhile.
        """
        known = {_reading_key(study_id, item.sha256, item.model): item for item in added.readings}
        keys = frozenset(known) | noted
        if not added.is_new:  # what came meanwhile must not go from the view, even for a moment
            keys = await self._view_keys(study_id)
        while known.keys() <= keys:
            others = await self._load(frozenset(_readings(study_id, keys)) - known.keys())
            readings = _in_order([*known.values(), *others])
            standing = await self._replaced_files.load(self._replaced_files.of(study_id, keys))
            entries = await self._open_images.load(self._open_images.of(study_id, keys))
            result = study_result(added.study, readings, entries, standing)
            await self._write(f"{ROOT}{study_id}/result.json", result)
            # A reading stored meanwhile may have been missed here and written over there.
            now, _ = await both(self._view_keys(study_id), check())
            if now == keys:
                return View(result, tuple(readings), standing)
            keys = now
        raise StudyNotFoundError

    async def result(self, study_id: str) -> StudyResult:
        """The study's current view.

        Raises
        ------
        StudyNotFoundError
        """
        try:
            return await self._read(StudyResult, f"{ROOT}{study_id}/result.json")
        except ObjectNotFoundError as error:
            raise StudyNotFoundError from error

    async def received_at(self, study_id: str) -> dt.datetime | None:
        """When the study's first document came; None where none did."""
        try:
            return (await self._study(study_id)).received_at
        except StudyNotFoundError:
            return None

    async def readings(self, study_id: str) -> list[Reading]:
        """All readings of a study, oldest first; those of one request as they were sent.

        Raises
        ------
        StudyNotFoundError
            There is none.
        """
        readings = await self._load(await self._reading_keys(study_id))
        if not readings:
            raise StudyNotFoundError
        return _in_order(readings)

    async def image(self, reading: Reading) -> bytes:
        """The image a reading was made of, as it was sent.

        Raises
        ------
        StudyNotFoundError
            It was deleted meanwhile, with its study.
        UnreadableDocumentError
            It is missing though its reading is there.
        """
        try:
            return await self._objects.read(_image_key(reading))
        except ObjectNotFoundError as error:
            await self._study(reading.study_id)
            raise unreadable(_image_key(reading), "the image is missing") from error

    def unreadable_image(self, reading: Reading) -> UnreadableDocumentError:
        """Return the error of an image that is no longer what was stored; the log is told."""
        return unreadable(_image_key(reading), "the image is damaged")

    async def without_heatmap(self, study_id: str, sha256: str) -> list[tuple[Reading, list[int]]]:
        """The readings of an image, each with its frames that lack their heat map in the store."""
        keys = await self._objects.keys(_image_folder(study_id, sha256))
        return [
            (
                reading,
                [index for index in explained(reading) if _heatmap_key(reading, index) not in keys],
            )
            for reading in await self._load(_readings(study_id, keys))
        ]

    async def add_heatmap(self, reading: Reading, index: int, picture: bytes) -> None:
        """Store the heat map of a reading's frame, unless there is one."""
        await self._objects.create(_heatmap_key(reading, index), picture, media_type="image/png")

    async def _study(self, study_id: str) -> StudyDocument:
        try:
            return await self._read(StudyDocument, _study_key(study_id))
        except ObjectNotFoundError as error:
            raise StudyNotFoundError from error

    async def _claim_identity(
        self, metadata: StudyMetadata, received_at: dt.datetime, known: Known
    ) -> tuple[StudyDocument, bool]:
        """The study's first document, and whether it is this one: none came before."""
        study_id = metadata.study_id
        while True:
            if known.study is None:
                document = StudyDocument(
                    study_id=study_id,
                    received_at=received_at,
                    identity={name: getattr(metadata, name) for name in IDENTITY},
                )
                if await self._create(_study_key(study_id), document):
                    return document, True
            else:
                compare(metadata, known.identity)
                news = {
                    name: value
                    for name, value in given(metadata).items()
                    if name not in known.identity
                }
                # One object for all that is new, under a number that one document alone can take:
                # of two that come at once, the later one is compared to the whole of the earlier.
                key = _identity_key(study_id, known.claims + 1)
                if not news or await self._objects.create(
                    key, json.dumps(news).encode(), media_type=JSON
                ):
                    return known.study, False
            known = await self._known(study_id)

    async def _known(self, study_id: str) -> Known:
        try:
            study = await self._study(study_id)
        except StudyNotFoundError:  # it is written first, so there is nothing else either
            return Known()
        keys = await self._objects.keys(f"{ROOT}{study_id}/")
        identity = _told(study.identity)
        claims = sum(key.startswith(f"{ROOT}{study_id}/identity/") for key in keys)
        try:
            for number in range(1, claims + 1):
                key = _identity_key(study_id, number)
                later = read_document(LaterIdentity, key, await self._objects.read(key))
                identity |= _told(later.root)
        except ObjectNotFoundError:  # deleted just now
            return Known()
        return Known(
            study,
            identity,
            claims,
            readings=frozenset(_readings(study_id, keys)),
            open_images=frozenset(self._open_images.of(study_id, keys)),
        )

    async def _add(self, data: bytes | memoryview, reading: Reading) -> Reading:
        # The image first: whoever finds a reading finds its image.
        await self._objects.create(_image_key(reading), data, media_type=reading.media_type)
        key = _reading_key(reading.study_id, reading.sha256, reading.model)
        if await self._create(key, reading):
            return reading
        return await self._read(Reading, key)

    async def _view_keys(self, study_id: str) -> frozenset[str]:
        """Keys of all that the view is made of, but for the study's own document."""
        keys = await self._objects.keys(f"{ROOT}{study_id}/")
        return frozenset(
            [
                *_readings(study_id, keys),
                *self._open_images.of(study_id, keys),
                *self._replaced_files.of(study_id, keys),
            ]
        )

    async def _reading_keys(self, study_id: str) -> list[str]:
        return _readings(study_id, await self._objects.keys(_images_folder(study_id)))

    async def _load(self, keys: Iterable[str]) -> list[Reading]:
        return await together(self._read(Reading, key) for key in keys)

    async def _read(self, document: type[D], key: str) -> D:
        return read_document(document, key, await self._objects.read(key))

    async def _create(self, key: str, document: BaseModel) -> bool:
        return await self._objects.create(key, _json(document), media_type=JSON)

    async def _write(self, key: str, document: BaseModel) -> None:
        await self._objects.replace(key, _json(document), media_type=JSON)


def _in_order(readings: Iterable[Reading]) -> list[Reading]:
    """The oldest first; those of one request as they were sent."""
    return sorted(
        readings, key=lambda reading: (reading.received_at, reading.position, reading.sha256)
    )


def _json(document: BaseModel) -> bytes:
    return document.model_dump_json(by_alias=True, exclude_none=True).encode()


def _reading_key(study_id: str, sha256: str, model: ModelVersion) -> str:
    return f"{_images_folder(study_id)}{sha256}{_reading_name(model)}"


def _reading_name(model: ModelVersion) -> str:
    return f"/{model.name}-{model.version}.json"


def _readings(study_id: str, keys: Iterable[str]) -> list[str]:
    folder = _images_folder(study_id)
    return [key for key in keys if key.startswith(folder) and key.endswith(".json")]


def _images_folder(study_id: str) -> str:
    return f"{ROOT}{study_id}/images/"


def _study_key(study_id: str) -> str:
    return f"{ROOT}{study_id}/study.json"


def _image_folder(study_id: str, sha256: str) -> str:
    return f"{_images_folder(study_id)}{sha256}/"


def _image_key(reading: Reading) -> str:
    extension = EXTENSIONS[MediaType(reading.media_type)]
    return f"{_image_folder(reading.study_id, reading.sha256)}image.{extension}"


def _heatmap_key(reading: Reading, index: int) -> str:
    frame = f"-{index + 1}" if len(reading.frames) > 1 else ""
    model = f"{reading.model.name}-{reading.model.version}"
    return f"{_image_folder(reading.study_id, reading.sha256)}{model}.heatmap{frame}.png"


def _identity_key(study_id: str, number: int) -> str:
    return f"{ROOT}{study_id}/identity/{number}.json"


def explained(reading: Reading) -> list[int]:
    """Which frames of a reading can have a heat map."""
    return [i for i, frame in enumerate(reading.frames) if frame.activation_map is not None]


def given(metadata: StudyMetadata) -> dict[str, str]:
    """The identifying attributes that the metadata have."""
    return _told({name: getattr(metadata, name) for name in IDENTITY})


def _told(identity: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in identity.items() if value is not None}


def compare(metadata: StudyMetadata, known: Mapping[str, str | None]) -> None:
    """Hold the metadata to what is known of their study.

    Raises
    ------
    StudyConflictError
        With each attribute that contradicts.
    """
    faults = tuple(
        Fault(f"/{name}", "differs from what is stored under this study_id")
        for name, value in given(metadata).items()
        if known.get(name) not in (None, value)
    )
    if faults:
        raise StudyConflictError(faults)
