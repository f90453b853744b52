"""DICOM instances of a study as they lie in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import (
    InstanceNotFoundError,
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
    from gateway.results.documents import Reading
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
    def path(self) -> str:
        """Return the path that it is retrieved at."""
        return (
            f"/dicomweb/studies/{self.study_instance_uid}/series/{self.series_instance_uid}"
            f"/instances/{self.sop_instance_uid}"
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

    async def find(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
    ) -> list[Original]:
        """Return the instances of a study, or of one series, or one of them, in order of arrival.

        Raises
        ------
        StudyNotFoundError
            There is none with this UID, or it has no DICOM instance.
        InstanceNotFoundError
            The study has no such series or instance.
        """
        of_study = await self._of_study(study_instance_uid)
        if not of_study:
            raise StudyNotFoundError
        found = [
            original
            for original in of_study
            if series_instance_uid in {None, original.series_instance_uid}
            and sop_instance_uid in {None, original.sop_instance_uid}
        ]
        if not found:
            raise InstanceNotFoundError
        return found

    async def _of_study(self, study_instance_uid: str) -> list[Original]:
        # C-STORE and STOW-RS keep it under its UID: no search is needed.
        found = await self._under(study_instance_uid, study_instance_uid)
        if found:
            return found
        query = StudyQuery(study_instance_uids=(study_instance_uid,))
        page = await self._search.find(query, limit=_MOST_STUDIES)
        kept = [await self._under(entry.study_id, study_instance_uid) for entry in page.entries]
        return [original for of_study in kept for original in of_study]

    async def _under(self, study_id: str, study_instance_uid: str) -> list[Original]:
        """Return the instances that are kept under an id, and are of this study."""
        try:
            record = await self._results.record(study_id)
            if record is None:
                return []
            readings = [*await self._results.earlier(record), *record.readings]
        except StudyBeingDeletedError:
            return []
        replaced = superseded(readings, record.standing)
        return _originals(
            (reading for reading in readings if reading.sha256 not in replaced), study_instance_uid
        )

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


def _originals(readings: Iterable[Reading], study_instance_uid: str) -> list[Original]:
    """Return the instances among images, each UID once: with the bytes that came last."""
    found: dict[str, Original] = {}
    for reading in readings:
        series, instance = reading.series_instance_uid, reading.sop_instance_uid
        if (
            reading.media_type == MediaType.DICOM
            and reading.study_instance_uid == study_instance_uid
            and series is not None
            and instance is not None
        ):
            found[instance] = Original(reading, study_instance_uid, series, instance)
    return list(found.values())
