"""DICOM instances of a study as they lie in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import (
    ObjectNotFoundError,
    StudyBeingDeletedError,
    StudyNotFoundError,
)
from gateway.results.keys import image_key
from gateway.results.view import superseded
from gateway.search.query import StudyQuery
from gateway.storage.documents import unreadable
from preprocess import MediaType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.errors import UnreadableDocumentError
    from gateway.results.documents import Reading, StudyRecord
    from gateway.results.store import ResultStore
    from gateway.search.query import StudySearch
    from gateway.storage.protocol import ObjectStore, Reserve

# Studies of one Study Instance UID: under it, and under ids of the senders' own.
_MOST_STUDIES = 16
# Attributes that are searched and listed stand before the pixels, and take a few thousand bytes.
BEGINNING_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Original:
    """A stored instance.

    Parameters
    ----------
    reading
        The latest reading of it.
    study_instance_uid, series_instance_uid, sop_instance_uid
        Of its data set.
    """

    reading: Reading
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str

    @property
    def study_id(self) -> str:
        """Return the id of its study."""
        return self.reading.study_id

    @property
    def path(self) -> str:
        """Return the path that it is retrieved at."""
        return instance_path(
            self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid
        )

    @property
    def frame_count(self) -> int:
        """Return the number of its frames."""
        return len(self.reading.frames)


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """A study with DICOM instances.

    Parameters
    ----------
    record, readings
        Its record, and the readings that stand; see `superseded`.
    originals
        Its instances, in order of arrival.
    """

    record: StudyRecord
    readings: tuple[Reading, ...]
    originals: tuple[Original, ...]


def instance_path(study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> str:
    """Return the path that an instance is retrieved at."""
    return (
        f"/dicomweb/studies/{study_instance_uid}/series/{series_instance_uid}"
        f"/instances/{sop_instance_uid}"
    )


class Originals:
    """Instances of all studies on one store, as far as models have read them.

    Parameters
    ----------
    objects, results
        The store, and the studies on it.
    search
        Finds a study that its sender gave an id of its own.
    """

    def __init__(self, objects: ObjectStore, results: ResultStore, search: StudySearch) -> None:
        self._objects = objects
        self._results = results
        self._search = search

    async def find(self, study_instance_uid: str) -> list[StoredStudy]:
        """Return the study of this UID; several where it came under ids of its senders' own.

        Raises
        ------
        StudyNotFoundError
            There is none with this UID, or it has no DICOM instance.
        """
        # C-STORE and STOW-RS keep it under its UID: no search is needed.
        found = await self._under(study_instance_uid, study_instance_uid)
        if found is not None:
            return [found]
        query = StudyQuery(study_instance_uids=(study_instance_uid,))
        page = await self._search.find(query, limit=_MOST_STUDIES)
        kept = [await self._under(entry.study_id, study_instance_uid) for entry in page.entries]
        studies = [study for study in kept if study is not None]
        if not studies:
            raise StudyNotFoundError
        return studies

    async def _under(self, study_id: str, study_instance_uid: str) -> StoredStudy | None:
        """Return what is kept under an id; None where no instance is of this study."""
        try:
            record = await self._results.record(study_id)
            if record is None:
                return None
            readings = [*await self._results.earlier(record), *record.readings]
        except StudyBeingDeletedError:
            return None
        replaced = superseded(readings, record.standing)
        standing = tuple(reading for reading in readings if reading.sha256 not in replaced)
        originals = tuple(_originals(standing, study_instance_uid))
        return StoredStudy(record, standing, originals) if originals else None

    async def read(self, original: Original, reserve: Reserve | None = None) -> bytes:
        """Return the file as it was sent.

        Raises
        ------
        StudyNotFoundError
            It was deleted meanwhile, with its study.
        UnreadableDocumentError
            It is missing though its reading is there.
        """
        key = image_key(original.reading)
        try:
            return await self._objects.read(key, reserve=reserve)
        except ObjectNotFoundError as error:
            await self._results.readings(original.reading.study_id)
            raise unreadable(key, "the image is missing") from error

    async def beginning(self, original: Original) -> bytes:
        """Return the first bytes of the file; see `read`."""
        key = image_key(original.reading)
        try:
            return await self._objects.beginning(key, BEGINNING_BYTES)
        except ObjectNotFoundError as error:
            await self._results.readings(original.reading.study_id)
            raise unreadable(key, "the image is missing") from error

    def damaged(self, original: Original) -> UnreadableDocumentError:
        """Return the error of a file that is no longer what was stored; the log is told."""
        return self._results.unreadable_image(original.reading)


def original_of(reading: Reading) -> Original | None:
    """Return the instance that a reading is of; None of a picture that is none."""
    study, series = reading.study_instance_uid, reading.series_instance_uid
    instance = reading.sop_instance_uid
    if reading.media_type != MediaType.DICOM or not (study and series and instance):
        return None
    return Original(reading, study, series, instance)


def _originals(readings: Iterable[Reading], study_instance_uid: str) -> list[Original]:
    """Return the instances among images, each UID once: with the bytes that came last."""
    found: dict[str, Original] = {}
    for original in filter(None, map(original_of, readings)):
        if original.study_instance_uid == study_instance_uid:
            found[original.sop_instance_uid] = original
    return list(found.values())
