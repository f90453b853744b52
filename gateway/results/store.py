"""Objects of a study, written once under content-addressed keys, and the view made of them.

The keys stand in `gateway.results.keys`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import ObjectNotFoundError, StudyNotFoundError
from gateway.results.documents import Reading
from gateway.results.identity import Identities, compare
from gateway.results.keys import (
    heatmap_key,
    image_folder,
    image_key,
    images_folder,
    reading_key,
    reading_name,
    readings_among,
    study_folder,
)
from gateway.results.not_processed import OpenImages, entries_among
from gateway.results.replaced_files import ReplacedFiles, notes_among
from gateway.results.view import study_result
from gateway.runtime.concurrency import both, together
from gateway.schemas.result import StudyResult
from gateway.storage.documents import (
    create_document,
    read_document,
    read_or_none,
    replace_document,
    unreadable,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence

    from gateway.errors import UnreadableDocumentError
    from gateway.results.documents import StudyDocument
    from gateway.results.identity import Known
    from gateway.schemas.metadata import StudyMetadata
    from gateway.schemas.not_processed import NotProcessedDocument
    from gateway.schemas.result import ModelVersion
    from gateway.storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class Added:
    """Documents in the store for what one request added.

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
        self._identities = Identities(objects)
        self._open_images = OpenImages(objects)
        self._replaced_files = ReplacedFiles(objects)

    async def known(self, metadata: StudyMetadata) -> Known:
        """Return what is stored under the study's id, which the metadata do not contradict.

        Of a study that is not there yet one question tells it all.

        Raises
        ------
        StudyConflictError
            With each attribute that contradicts.
        """
        known = await self._identities.known(metadata.study_id)
        compare(metadata, known.identity)
        return known

    async def reading(self, study_id: str, sha256: str, model: ModelVersion) -> Reading:
        """Return what this model version made of this image.

        Raises
        ------
        ObjectNotFoundError
            It has not read it.
        """
        return await self._reading(image_folder(study_id, sha256) + reading_name(model))

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
        study, is_new = await self._identities.claim(metadata, received_at, known)
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
        """Return the study's current view; see `rebuild_view`."""
        return (await self.rebuild_view(study_id, added, check=check)).result

    async def rebuild_view(
        self,
        study_id: str,
        added: Added,
        *,
        check: Callable[[], Coroutine[object, object, None]],
        noted: frozenset[str] = frozenset(),
    ) -> View:
        """Return the study's current view, made of all its readings and written to `result.json`.

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
        known = {reading_key(item): item for item in added.readings}
        keys = frozenset(known) | noted
        if not added.is_new:  # what came meanwhile must not go from the view, even for a moment
            keys = await self._view_keys(study_id)
        while known.keys() <= keys:
            others = await self._load(frozenset(readings_among(study_id, keys)) - known.keys())
            readings = _in_order([*known.values(), *others])
            standing = await self._replaced_files.load(notes_among(study_id, keys))
            entries = await self._open_images.load(entries_among(study_id, keys))
            result = study_result(added.study, readings, entries, standing)
            await replace_document(self._objects, _view_key(study_id), result)
            # A reading stored meanwhile may have been missed here and written over there.
            now, _ = await both(self._view_keys(study_id), check())
            if now == keys:
                return View(result, tuple(readings), standing)
            keys = now
        raise StudyNotFoundError

    async def result(self, study_id: str) -> StudyResult:
        """Return the study's current view.

        Raises
        ------
        StudyNotFoundError
        """
        result = await read_or_none(self._objects, StudyResult, _view_key(study_id))
        if result is None:
            raise StudyNotFoundError
        return result

    async def received_at(self, study_id: str) -> dt.datetime | None:
        """Return when the study's first document came; None where none did."""
        study = await self._identities.study(study_id)
        return None if study is None else study.received_at

    async def readings(self, study_id: str) -> list[Reading]:
        """Return all readings of a study, oldest first; those of one request as they were sent.

        Raises
        ------
        StudyNotFoundError
            There is none.
        """
        readings = await self._load(
            readings_among(study_id, await self._objects.keys(images_folder(study_id)))
        )
        if not readings:
            raise StudyNotFoundError
        return _in_order(readings)

    async def image(self, reading: Reading) -> bytes:
        """Return the image a reading was made of, as it was sent.

        Raises
        ------
        StudyNotFoundError
            It was deleted meanwhile, with its study.
        UnreadableDocumentError
            It is missing though its reading is there.
        """
        try:
            return await self._objects.read(image_key(reading))
        except ObjectNotFoundError as error:
            await self._study(reading.study_id)
            raise unreadable(image_key(reading), "the image is missing") from error

    def unreadable_image(self, reading: Reading) -> UnreadableDocumentError:
        """Return the error of an image that is no longer what was stored; the log is told."""
        return unreadable(image_key(reading), "the image is damaged")

    async def without_heatmap(self, study_id: str, sha256: str) -> list[tuple[Reading, list[int]]]:
        """Return an image's readings, each with the frames that lack their heat map there."""
        keys = await self._objects.keys(image_folder(study_id, sha256))
        return [
            (
                reading,
                [index for index in explained(reading) if heatmap_key(reading, index) not in keys],
            )
            for reading in await self._load(readings_among(study_id, keys))
        ]

    async def add_heatmap(self, reading: Reading, index: int, picture: bytes) -> None:
        """Store the heat map of a reading's frame, unless there is one."""
        await self._objects.create(heatmap_key(reading, index), picture, media_type="image/png")

    async def _add(self, data: bytes | memoryview, reading: Reading) -> Reading:
        # The image first: whoever finds a reading finds its image.
        await self._objects.create(image_key(reading), data, media_type=reading.media_type)
        key = reading_key(reading)
        if await create_document(self._objects, key, reading):
            return reading
        return await self._reading(key)

    async def _view_keys(self, study_id: str) -> frozenset[str]:
        """Keys of all that the view is made of, but for the study's own document."""
        keys = await self._objects.keys(study_folder(study_id))
        return frozenset(
            [
                *readings_among(study_id, keys),
                *entries_among(study_id, keys),
                *notes_among(study_id, keys),
            ]
        )

    async def _load(self, keys: Iterable[str]) -> list[Reading]:
        return await together(self._reading(key) for key in keys)

    async def _reading(self, key: str) -> Reading:
        return read_document(Reading, key, await self._objects.read(key))

    async def _study(self, study_id: str) -> StudyDocument:
        study = await self._identities.study(study_id)
        if study is None:
            raise StudyNotFoundError
        return study


def _in_order(readings: Iterable[Reading]) -> list[Reading]:
    """The oldest first; those of one request as they were sent."""
    return sorted(
        readings, key=lambda reading: (reading.received_at, reading.position, reading.sha256)
    )


def _view_key(study_id: str) -> str:
    return f"{study_folder(study_id)}result.json"


def explained(reading: Reading) -> list[int]:
    """Return the indices of the frames of a reading that can have a heat map."""
    return [i for i, frame in enumerate(reading.frames) if frame.activation_map is not None]
