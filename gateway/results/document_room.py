"""Room of a study's document: what moves out of one that is too long, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import StudyBacklogFullError
from gateway.results.documents import StudyRecord
from gateway.results.not_processed import with_less
from gateway.results.pages import with_page_list, write_page
from gateway.results.view import study_result
from gateway.storage.documents import stored_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.results.documents import Reading
    from gateway.storage.protocol import ObjectStore

LONGEST_BYTES = 64 * 1024
"""Bytes of a document."""

# What is refused where it would not fit.
_WAITING = {
    "missing_readings": "readings that models owe",
    "pending": "pending submissions",
    "standing": "names in the drop folder with several images",
}


class DocumentRoom:
    """Room of the documents of all studies.

    Readings move to pages. Images that could not be processed may have a third of the document, and
    beyond it are counted. Pages may have a third, and are listed in objects of their own then. What
    else waits of a study (submissions, readings that models owe, names of the drop folder with
    several images) is refused where it would not fit beside the rest.

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
        self._most_waiting = longest - longest // 8  # there are always pages and new readings

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

        Raises
        ------
        StudyBacklogFullError
            More waits than it has room for; nothing was written.
        """
        before = before or StudyRecord.begun(record.study_id)
        data = _form(record)
        if len(data) > self._most_waiting:
            self._check(record, before)
        if len(data) <= self._longest:
            return record, data
        record = self._with_fewer_entries(record)
        if _pages_bytes(record) > self._longest // 3:
            record = await with_page_list(self._objects, record)
        record = await self._paged(record, len(before.readings))
        data = _form(record)
        if len(data) > self._longest and record.readings:
            record = await self._paged(record, len(record.readings))
            data = _form(record)
        if len(data) > self._longest and _pages_bytes(record) > self._longest // 8:
            record = await with_page_list(self._objects, record)
            data = _form(record)
        return record, data

    def listed_bytes(self, record: StudyRecord) -> int:
        """Return the bytes that its lists of pages have at the most."""
        return len(record.page_lists) * self._longest // 3

    def _check(self, record: StudyRecord, before: StudyRecord) -> None:
        """Refuse a record with more that waits, of which too much is left without its readings."""
        if all(len(getattr(record, name)) <= len(getattr(before, name)) for name in _WAITING):
            return
        rest = record.model_copy(update={"readings": (), "pages": (), "page_lists": ()})
        if len(_form(self._with_fewer_entries(rest))) > self._most_waiting:
            found = {words: len(getattr(record, name)) for name, words in _WAITING.items()}
            told = " and ".join(f"{count} {words}" for words, count in found.items() if count)
            raise StudyBacklogFullError(
                f"the study would have {told}, more than its document holds"
            )

    def _with_fewer_entries(self, record: StudyRecord) -> StudyRecord:
        while _entries_bytes(record) > self._longest // 3:
            record = with_less(record)
        return record

    async def _paged(self, record: StudyRecord, count: int) -> StudyRecord:
        """Return the record with its first readings on pages."""
        for page in _by_size(record.readings[:count], self._longest * 3 // 4):
            entry = await write_page(self._objects, record, page)
            record = record.model_copy(update={"pages": (*record.pages, entry)})
        return record.model_copy(update={"readings": record.readings[count:]})


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


def _entries_bytes(record: StudyRecord) -> int:
    """Return the bytes that a document has for images that could not be processed."""
    if not record.open_images:
        return 0
    alone = StudyRecord.begun(record.study_id)
    return len(_form(alone.model_copy(update={"open_images": record.open_images})))


def _pages_bytes(record: StudyRecord) -> int:
    """Return the bytes that a document has for pages."""
    return sum(len(stored_form(page)) for page in record.unlisted_pages())


def _form(record: StudyRecord) -> bytes:
    """Return a document as it is stored: the public view, and the record beside it."""
    view = study_result(record).model_dump_json(exclude_none=True)
    kept = stored_form(record.model_copy(update={"pages": record.unlisted_pages()}))
    return b"".join([view[:-1].encode(), b',"record":', kept, b"}"])
