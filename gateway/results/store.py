"""Studies in the object store: the document of each, and its images beside it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.audit.trail import note_correction
from gateway.errors import (
    ObjectNotFoundError,
    StudyBeingDeletedError,
    StudyConflictError,
    StudyNotFoundError,
)
from gateway.results.documents import Reading, StudyRecord
from gateway.results.feedback import with_feedback
from gateway.results.identity import check, is_correction
from gateway.results.image_writes import ImageWrites
from gateway.results.joins import OnPages, UnreadPagesError, joining, key_of
from gateway.results.keys import heatmap_key, image_folder, image_key, study_folder
from gateway.results.not_processed import with_entries, with_parked, without_parked
from gateway.results.pages import may_have_image, may_have_name, read_pages
from gateway.results.settled_work import Settling
from gateway.results.view import study_result
from gateway.storage.documents import unreadable

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from gateway.errors import UnreadableDocumentError
    from gateway.results.documents import PageEntry
    from gateway.results.image_writes import NewImage
    from gateway.results.joins import Request
    from gateway.results.settled_work import SettledWork
    from gateway.results.study_documents import Seen, StudyDocuments
    from gateway.schemas.feedback import Feedback
    from gateway.schemas.metadata import StudyMetadata
    from gateway.schemas.not_processed import NotProcessedDocument
    from gateway.schemas.result import ModelVersion, StudyResult
    from gateway.storage.protocol import ObjectStore


@dataclass(slots=True)
class Known:
    """State of a study when a request came for it.

    Parameters
    ----------
    seen
        Its document.
    is_sure
        True if it was read from the store for the request, and not before.
    """

    seen: Seen
    is_sure: bool = True

    @property
    def record(self) -> StudyRecord | None:
        """Return the study's record; None where there was none."""
        return self.seen.record

    def read_by(self, model: ModelVersion) -> ReadBefore:
        """Return the images that this model version may have read."""
        return ReadBefore(self.record, model)


class ReadBefore:
    """Images that a model version has read, by SHA-256.

    Of images on pages it may be wrong that they are among them; see `ResultStore.reading`.
    """

    def __init__(self, record: StudyRecord | None, model: ModelVersion) -> None:
        self._pages = record.pages if record is not None else ()
        readings = record.readings if record is not None else ()
        self._hashes = {reading.sha256 for reading in readings if reading.model == model}

    def __contains__(self, sha256: object) -> bool:
        """Return True if the model may have read the image."""
        if not isinstance(sha256, str):
            return False
        return sha256 in self._hashes or any(may_have_image(page, sha256) for page in self._pages)


@dataclass(frozen=True, slots=True)
class Added:
    """Record of a study after a request, and what is in it for the request.

    Parameters
    ----------
    readings
        Of its fresh images, in order: where another gateway was first, that one's.
    record
        The study's.
    result
        Its view: at the least the images of the request.
    sent
        All readings of the request's images that were asked for, stored before or now.
    settled
        Parked work that it made needless.
    """

    readings: tuple[Reading, ...]
    record: StudyRecord
    result: StudyResult
    sent: tuple[Reading, ...]
    settled: tuple[SettledWork, ...]


class ResultStore:
    """Studies of all gateways on one object store.

    Parameters
    ----------
    objects
        Has the images and pictures.
    documents
        Has what is known of them.
    """

    def __init__(self, objects: ObjectStore, documents: StudyDocuments) -> None:
        self._objects = objects
        self._documents = documents

    async def look(self, study_id: str) -> Seen | None:
        """Return the study's document, for `known`; None where this process remembers it."""
        seen = self._documents.remembered(study_id)
        return None if seen is not None else await self._documents.read(study_id)

    async def known(
        self, metadata: StudyMetadata, seen: Seen | None = None, *, corrects: bool = False
    ) -> Known:
        """Return what is stored under the study's id, which the metadata do not contradict.

        What this process remembers is not read again: the swap tells whether it still holds.

        Parameters
        ----------
        seen
            The study's document, if it was read just now.
        corrects
            True if the sender may correct the study's identity.

        Raises
        ------
        StudyBeingDeletedError
        StudyConflictError
            With each attribute that contradicts.
        """
        remembered = None if seen is not None else self._documents.remembered(metadata.study_id)
        if remembered is not None and remembered.record is not None:
            with suppress(StudyConflictError):  # it may have gone by now
                check(metadata, remembered.record, corrects=corrects)
                return Known(remembered, is_sure=False)
        seen = seen or await self._documents.read(metadata.study_id)
        check(metadata, seen.open_record(), corrects=corrects)
        return Known(seen)

    async def reading(
        self, study_id: str, known: Known, sha256: str, model: ModelVersion
    ) -> Reading | None:
        """Return what this model version made of this image; None where it has not read it.

        Raises
        ------
        StudyBeingDeletedError
        """
        await self._make_sure(study_id, known)
        for reading in await self._of_image(known.record, sha256):
            if reading.model == model:
                return reading
        return None

    def write_images(self, study_id: str, images: Sequence[NewImage]) -> ImageWrites:
        """Begin to write images; to be done before their readings are added."""
        return ImageWrites(self._objects, study_id, images)

    async def add(self, study_id: str, known: Known, request: Request) -> Added:
        """Store the readings of a request, and note what of it is to be sent again.

        Raises
        ------
        StudyConflictError
            Another document came first and contradicts this one; nothing was written.
        StudyBeingDeletedError
        DeliveryUnfinishedError
            It is made of a submission that is no longer pending; nothing was written.
        """
        on_pages = OnPages()
        settled: tuple[SettledWork, ...] = ()
        if request.changes(known.record):
            record, settled = await self._change(study_id, request, known, on_pages)
        else:
            await self._make_sure(study_id, known)
            record = known.record or _gone()
        stored = {key_of(item): item for item in [*on_pages.readings.values(), *record.readings]}
        of_request = {
            key_of(item): stored.get(key_of(item), item)
            for item in (*request.processed.values(), *request.others, *request.fresh)
        }
        here = {key_of(item) for item in record.readings}
        earlier = [item for key, item in of_request.items() if key not in here]
        return Added(
            tuple(stored[key_of(item)] for item in request.fresh),
            record,
            study_result(record, earlier),
            tuple(of_request.values()),
            settled,
        )

    async def _change(
        self, study_id: str, request: Request, known: Known, on_pages: OnPages
    ) -> tuple[StudyRecord, tuple[SettledWork, ...]]:
        """Return the record with a request; `on_pages` has what of its images stands on pages."""
        while True:
            try:
                change = Settling(joining(request, on_pages))
                record = await self._documents.change(study_id, change, known.seen)
            except UnreadPagesError as unread:
                found = await self._read_pages(unread.record, unread.pages)
                on_pages.pages |= {page.name for page in unread.pages}
                on_pages.readings |= {key_of(item): item for item in found}
                on_pages.numbers |= {item.sha256: item.number for item in found}
            else:
                metadata, corrects = request.metadata, request.corrects
                if is_correction(metadata, known.record, record, corrects=corrects):
                    note_correction()
                return record, change.settled

    async def note_parked(self, study_id: str, entry: NotProcessedDocument) -> StudyRecord:
        """Return the record with an image of the drop folder that is parked; see `with_parked`."""

        def change(record: StudyRecord | None) -> StudyRecord:
            record = record or StudyRecord.begun(study_id)
            return with_entries(record, with_parked(record.open_images, entry), entry.sha256)

        return await self._documents.change(study_id, change)

    async def forget_parked(self, study_id: str, sha256: str, parked_id: str) -> None:
        """Remove what is noted of a parked image; see `without_parked`."""

        def change(record: StudyRecord | None) -> StudyRecord:
            if record is None:
                raise StudyNotFoundError
            entries = without_parked(record.open_images, sha256, parked_id)
            return with_entries(record, entries, sha256)

        await self._documents.change(study_id, change)

    async def note_standing(self, study_id: str, name: str, sha256: str) -> StudyRecord | None:
        """Note what stands under a name of the drop folder; return None where that was known."""
        record = (await self._documents.read(study_id)).open_record()
        if record is None or record.standing.get(name) == sha256:
            return None

        def change(record: StudyRecord | None) -> StudyRecord:
            if record is None:
                raise StudyNotFoundError
            if record.standing.get(name) == sha256:
                return record
            return record.changed(standing=record.standing | {name: sha256})

        return await self._documents.change(study_id, change)

    async def add_feedback(self, study_id: str, item: Feedback) -> StudyRecord:
        """Return the record with a judgement on the study; see `with_feedback`.

        Raises
        ------
        InvalidFeedbackError
        StudyBeingDeletedError
        """

        def change(record: StudyRecord) -> StudyRecord:
            return with_feedback(record, item)

        return await self._documents.change_known(study_id, change)

    async def record(self, study_id: str) -> StudyRecord | None:
        """Return what is known of a study; None where there is none.

        Raises
        ------
        StudyBeingDeletedError
        """
        return (await self._documents.read(study_id)).open_record()

    async def image_at(self, study_id: str) -> dt.datetime | None:
        """Return when an image came to lie there of a study that has no document."""
        keys = await self._objects.keys(study_folder(study_id))
        try:
            return await self._objects.written_at(keys[0]) if keys else None
        except ObjectNotFoundError:
            return None

    async def earlier(self, record: StudyRecord) -> list[Reading]:
        """Return the readings on a study's pages."""
        return await self._read_pages(record, record.pages)

    async def readings(self, study_id: str) -> list[Reading]:
        """Return all readings of a study, in the order they joined it.

        Raises
        ------
        StudyNotFoundError
            There is none.
        """
        try:
            record = await self.record(study_id)
        except StudyBeingDeletedError:
            raise StudyNotFoundError from None
        if record is None or not record.images:
            raise StudyNotFoundError
        return [*await self.earlier(record), *record.readings]

    async def akin(self, record: StudyRecord, name: str, sha256: str) -> list[Reading]:
        """Return the readings of an image, and of those dropped under the same name."""
        pages = [
            page
            for page in record.pages
            if may_have_image(page, sha256) or may_have_name(page, name)
        ]
        readings = [*await self._read_pages(record, pages), *record.readings]
        return [item for item in readings if item.sha256 == sha256 or item.dropped_as == name]

    async def has_image(self, record: StudyRecord, sha256: str) -> bool:
        """Return True if an image was processed."""
        return bool(await self._of_image(record, sha256))

    async def image(self, reading: Reading) -> bytes:
        """Return the image a reading was made of, as it was sent.

        Raises
        ------
        StudyNotFoundError
            It was deleted meanwhile, with its study.
        UnreadableDocumentError
            It is missing though its reading is there.
        """
        key = image_key(reading)
        try:
            return await self._objects.read(key)
        except ObjectNotFoundError as error:
            await self.readings(reading.study_id)
            raise unreadable(key, "the image is missing") from error

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
            for reading in await self._of_image(await self.record(study_id), sha256)
        ]

    async def add_heatmap(self, reading: Reading, index: int, picture: bytes) -> None:
        """Store the heat map of a reading's frame, unless there is one."""
        await self._objects.create(heatmap_key(reading, index), picture, media_type="image/png")

    async def _make_sure(self, study_id: str, known: Known) -> None:
        if not known.is_sure:
            known.seen = await self._documents.read(study_id)
            known.seen.open_record()
            known.is_sure = True

    async def _of_image(self, record: StudyRecord | None, sha256: str) -> list[Reading]:
        if record is None:
            return []
        pages = [page for page in record.pages if may_have_image(page, sha256)]
        readings = [*await self._read_pages(record, pages), *record.readings]
        return [reading for reading in readings if reading.sha256 == sha256]

    async def _read_pages(self, record: StudyRecord, pages: Sequence[PageEntry]) -> list[Reading]:
        try:
            return await read_pages(self._objects, record.study_id, pages)
        except ObjectNotFoundError:
            raise StudyBeingDeletedError from None


def _gone() -> StudyRecord:
    raise StudyBeingDeletedError


def explained(reading: Reading) -> list[int]:
    """Return the indices of the frames of a reading that can have a heat map."""
    return [i for i, frame in enumerate(reading.frames) if frame.activation_map is not None]
