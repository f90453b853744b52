"""Room of a study's document, and what lies beside one that grew too long."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gateway.results.documents import (
    BesideEntry,
    DeliveryItem,
    FailedImages,
    MissingReading,
    PendingImages,
    StudyRecord,
)
from gateway.results.keys import rest_key
from gateway.results.not_processed import with_less
from gateway.results.pages import with_listed_pages, with_page_list, write_page
from gateway.results.view import study_result
from gateway.schemas.feedback import Feedback
from gateway.schemas.stored_document import Names, StoredDocument
from gateway.storage.documents import MEDIA_TYPE, read_document, stored_form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.results.documents import Reading
    from gateway.storage.protocol import ObjectStore

LONGEST_BYTES = 64 * 1024
"""Most bytes of a study's document."""


class RecordRest(StoredDocument):
    """Lists of a study's record for which its document has no room; written once."""

    schema_: Literal["radstream.record-rest/1"] = Field("radstream.record-rest/1", alias="schema")
    missing_readings: tuple[MissingReading, ...] = ()
    pending: tuple[PendingImages, ...] = ()
    failed: tuple[FailedImages, ...] = ()
    deliveries: tuple[DeliveryItem, ...] = ()
    feedback: tuple[Feedback, ...] = ()
    standing: Names = Field({})


_LISTS = tuple(name for name in RecordRest.model_fields if name != "schema_")
# Those that the view has, too.
_SHOWN = ("missing_readings", "deliveries", "feedback")


class DocumentRoom:
    """Room of the documents of all studies.

    Of one that is too long readings move to pages. Images that could not be processed keep a third
    of it, and beyond that are counted. Pages that take more than a third are listed in an object of
    their own, and lists that do move to a `RecordRest`; where that is not enough, all of them do.

    Parameters
    ----------
    objects
        The store, for what moves out.
    longest
        Bytes of a document.
    """

    def __init__(self, objects: ObjectStore, longest: int) -> None:
        self._objects = objects
        self._longest = longest

    async def whole(self, record: StudyRecord) -> StudyRecord:
        """Return a record as its document has it with all that lies beside it, readings apart.

        Raises
        ------
        ObjectNotFoundError
            The document has changed meanwhile, or the study was deleted.
        UnreadableDocumentError
        """
        if record.page_lists:
            record = await with_listed_pages(self._objects, record)
        if record.rest is None:
            return record
        key = rest_key(record.study_id, record.rest.name)
        return with_rest(record, read_document(RecordRest, key, await self._objects.read(key)))

    async def fitted(
        self, record: StudyRecord, before: StudyRecord | None
    ) -> tuple[StudyRecord, bytes]:
        """Return a record for which the document has room, and the document.

        Parameters
        ----------
        record
            The study's, which may be too long.
        before
            The one that it replaces: its readings move first.
        """
        written = record.rest
        if before is not None and any(getattr(record, n) != getattr(before, n) for n in _LISTS):
            written = None
        stays = written if written is not None and written.bytes > self._longest // 3 else None
        record = record.model_copy(update={"rest": stays})
        data = _form(record)
        if len(data) > self._longest:
            readings = 0 if before is None else len(before.readings)
            async for shorter in self._shorter(record, readings, written):
                record, data = shorter, _form(shorter)
                if len(data) <= self._longest:
                    break
        return record, data

    async def _shorter(
        self, record: StudyRecord, readings: int, written: BesideEntry | None
    ) -> AsyncIterator[StudyRecord]:
        """Yield the record with ever less of it in its document.

        Parameters
        ----------
        readings
            Number of those that move before the others.
        written
            Its rest, where that was written already.
        """
        while _bytes_of(record, "open_images") > self._longest // 3:
            record = with_less(record)
        yield record
        if record.rest is None and _bytes_of(record, *_LISTS) > self._longest // 3:
            record = await self._with_rest_beside(record, written)
            yield record
        if _pages_bytes(record) > self._longest // 3:
            record = await with_page_list(self._objects, record)
            yield record
        for count in (readings, len(record.readings) - readings):
            record = await self._paged(record, count)
            yield record
        if record.rest is None and any(getattr(record, name) for name in _LISTS):
            record = await self._with_rest_beside(record, written)
            yield record
        if record.unlisted_pages():
            yield await with_page_list(self._objects, record)

    async def _with_rest_beside(
        self, record: StudyRecord, written: BesideEntry | None
    ) -> StudyRecord:
        """Return the record with its rest in an object of its own, which may be there already."""
        if written is None:
            data = stored_form(RecordRest(**{name: getattr(record, name) for name in _LISTS}))
            written = BesideEntry(name=secrets.token_hex(8), bytes=len(data))
            key = rest_key(record.study_id, written.name)
            await self._objects.create(key, data, media_type=MEDIA_TYPE)
        return record.model_copy(update={"rest": written})

    async def _paged(self, record: StudyRecord, count: int) -> StudyRecord:
        """Return the record with its first readings on pages."""
        for page in _by_size(record.readings[:count], self._longest * 3 // 4):
            entry = await write_page(self._objects, record, page)
            record = record.model_copy(update={"pages": (*record.pages, entry)})
        return record.model_copy(update={"readings": record.readings[count:]})


def with_rest(record: StudyRecord, rest: RecordRest) -> StudyRecord:
    """Return a record with the lists of its rest."""
    return record.model_copy(update={name: getattr(rest, name) for name in _LISTS})


def beside_bytes(record: StudyRecord) -> int:
    """Return the bytes of all that lies beside a record's document, pages apart."""
    entries = [*record.page_lists, *([] if record.rest is None else [record.rest])]
    return sum(entry.bytes for entry in entries)


def _by_size(readings: Sequence[Reading], longest: int) -> list[list[Reading]]:
    """Return the readings in groups of so many bytes; a longer one is a group by itself."""
    groups: list[list[Reading]] = []
    size = longest
    for reading in readings:
        added = len(stored_form(reading))
        if size + added > longest:
            groups.append([])
            size = 0
        groups[-1].append(reading)
        size += added
    return groups


def _bytes_of(record: StudyRecord, *names: str) -> int:
    """Return the bytes that a document has for these lists of its record."""
    lists = {name: found for name in names if (found := getattr(record, name))}
    if not lists:
        return 0
    return len(_form(StudyRecord.begun(record.study_id).model_copy(update=lists)))


def _pages_bytes(record: StudyRecord) -> int:
    """Return the bytes that a document has for pages."""
    return sum(len(stored_form(page)) for page in record.unlisted_pages())


def _form(record: StudyRecord) -> bytes:
    """Return a document as it is stored: the public view, and the record beside it."""
    view = study_result(record)
    kept = record.model_copy(update={"pages": record.unlisted_pages()})
    if record.rest is not None:
        view = view.model_copy(update=dict.fromkeys(_SHOWN))
        kept = with_rest(kept, RecordRest())
    public = view.model_dump_json(exclude_none=True)
    return b"".join([public[:-1].encode(), b',"record":', stored_form(kept), b"}"])
