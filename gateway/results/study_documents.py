"""Documents of all studies, changed by compare-and-swap.

A writer of a study reads its document, works out the new one, and swaps it for the one that
was read; who loses the swap to another reads again. So a study has no state between two documents,
and these hold whatever dies when:

- one image has one reading of one model version, the first that joined;
- identity is stated once, and what contradicts it joins nothing;
- to a study that is being deleted nothing is added;
- images keep the number they joined under.

What a document has no room for is written before the swap that names it, under a name that nothing
has, and what is named no more goes after the swap: a death between leaves an object unnamed.

Within a process changes of one study that come at once share a swap.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import (
    ObjectNotFoundError,
    StoreUnavailableError,
    StudyBeingDeletedError,
    UnreadableDocumentError,
)
from gateway.results.document_room import LONGEST_BYTES, DocumentRoom, beside_bytes
from gateway.results.documents import StudyDocument
from gateway.results.keys import document_key, rest_key, withdrawn_study
from gateway.storage.documents import MEDIA_TYPE, read_document, stored_form, unreadable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from gateway.results.documents import BesideEntry, StudyRecord
    from gateway.results.tombstone import Closing
    from gateway.storage.protocol import ObjectStore

    Change = Callable[[StudyRecord | None], StudyRecord]
    Waiting = list[tuple[Change, asyncio.Future[StudyRecord]]]

# Of the documents that a process remembers, to spare the read before a swap.
_REMEMBERED_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """A study's document as it was read or written last.

    Parameters
    ----------
    record, closing
        Its content; neither where there is none.
    tag
        Of the object, for the swap.
    size
        Its bytes, and those of what lies beside it.
    """

    record: StudyRecord | None = None
    closing: Closing | None = None
    tag: str | None = None
    size: int = 0

    def open_record(self) -> StudyRecord | None:
        """Return the record; None of a study that is not there.

        Raises
        ------
        StudyBeingDeletedError
        """
        if self.closing is not None:
            raise StudyBeingDeletedError
        return self.record


class StudyDocuments:
    """Documents of all studies on one store.

    Parameters
    ----------
    objects
        The store.
    longest_bytes
        Of a document; see `DocumentRoom`.
    changed
        Told of each study whose document this gateway has changed.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        longest_bytes: int = LONGEST_BYTES,
        changed: Callable[[str], None] | None = None,
    ) -> None:
        self._objects = objects
        self._told = changed
        self._room = DocumentRoom(objects, longest_bytes)
        self._remembered: OrderedDict[str, Seen] = OrderedDict()
        self._remembered_bytes = 0
        self._waiting: dict[str, Waiting] = {}
        self._writers: set[asyncio.Task[None]] = set()

    async def read(self, study_id: str) -> Seen:
        """Return the study's document as it is now.

        Raises
        ------
        UnreadableDocumentError
        """
        key = document_key(study_id)
        tag = None
        while True:
            try:
                stored = await self._objects.read_tagged(key)
            except ObjectNotFoundError:
                return self._remember(study_id, Seen())
            document = read_document(StudyDocument, key, stored.data)
            record = document.record
            try:
                if record is not None:
                    record = await self._room.whole(record)
            except ObjectNotFoundError:
                if stored.tag == tag:  # and it is not that another document stands there by now
                    raise unreadable(key, "a part of it is missing") from None
                tag = stored.tag
            else:
                seen = Seen(record, document.closing, stored.tag, _size(record, stored.data))
                return self._remember(study_id, seen)

    def remembered(self, study_id: str) -> Seen | None:
        """Return the record that this process saw last; another may have changed it since.

        A swap finds out. None where none is known.
        """
        return self._remembered.get(study_id)

    async def change(self, study_id: str, change: Change, seen: Seen | None = None) -> StudyRecord:
        """Return the record with the change made to it, durable by now.

        Parameters
        ----------
        change
            Returns the new record, or the same where there is nothing to do; called again with
            another record where a swap is lost.
        seen
            State that the caller saw last; looked at anew only if it does not hold any more.

        Raises
        ------
        StudyBeingDeletedError
        Exception
            An error of the change: then nothing of it is written.
        """
        ended: asyncio.Future[StudyRecord] = asyncio.get_running_loop().create_future()
        if (waiting := self._waiting.get(study_id)) is not None:
            waiting.append((change, ended))
        else:  # it is not being written now
            self._waiting[study_id] = [(change, ended)]
            writer = asyncio.create_task(self._write(study_id, seen))
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        return await ended

    async def change_known(
        self,
        study_id: str,
        change: Callable[[StudyRecord], StudyRecord],
        seen: Seen | None = None,
    ) -> StudyRecord:
        """Return the record of a study that was there, with the change made to it; see `change`.

        Raises
        ------
        StudyBeingDeletedError
            It has gone.
        """

        def of_known(record: StudyRecord | None) -> StudyRecord:
            if record is None:
                raise StudyBeingDeletedError
            return change(record)

        return await self.change(study_id, of_known, seen)

    async def close(
        self,
        closing: Closing,
        complete: Callable[[Closing, StudyRecord], Closing],
        prepare: Callable[[StudyRecord], Awaitable[None]] | None = None,
    ) -> Closing:
        """Put a closing in place of the study's record, and return the one that stands there.

        Parameters
        ----------
        complete
            Returns the closing with what is to be kept of the record until the deletion ends.
        prepare
            Called before it: what it wrote is of just the record that the closing replaces.
        """
        study_id = closing.study_id
        while True:
            try:
                seen = await self.read(study_id)
            except UnreadableDocumentError:  # it goes, whatever it said
                stored = await self._objects.read_tagged(document_key(study_id))
                seen = Seen(tag=stored.tag)
            if seen.closing is not None:
                return seen.closing
            stands = closing
            if seen.record is not None:
                if prepare is not None:
                    await prepare(seen.record)
                stands = complete(closing, seen.record)
            data = stored_form(StudyDocument(schema_="radstream.result/2", closing=stands))
            if await self._swap(study_id, seen, Seen(closing=stands), data):
                return stands

    async def end(self, closing: Closing) -> None:
        """Remove a closing whose time is over, unless that was done."""
        seen = await self.read(closing.study_id)
        if seen.closing == closing and seen.tag is not None:
            key = document_key(closing.study_id)
            await self._objects.delete(key, tag=seen.tag)
            await self._objects.purge(key, past_only=True)

    async def _write(self, study_id: str, seen: Seen | None) -> None:
        """Make the changes that wait, and those that come while others are being written."""
        try:
            while True:
                await asyncio.sleep(0)  # so that those of one turn of the loop go together
                taken = self._waiting[study_id]
                self._waiting[study_id] = []
                try:
                    await self._make(study_id, taken, self.remembered(study_id) or seen)
                except Exception as error:  # noqa: BLE001 - told to each whose change it was
                    for _, ended in taken:
                        _fail(ended, error)
                if not self._waiting[study_id]:
                    break
                seen = None
        finally:
            for _, ended in self._waiting.pop(study_id, []):
                ended.cancel()

    async def _make(self, study_id: str, taken: Waiting, remembered: Seen | None) -> None:
        seen = remembered or await self.read(study_id)
        while True:
            record, failed = _changed(seen, [change for change, _ in taken])
            sure = seen is not remembered
            if not sure and (failed or record is seen.record):
                seen = await self.read(study_id)  # it may not be so any more
                continue
            if record is seen.record or await self._replace(study_id, seen, record):
                break
            seen = await self.read(study_id)
        for place, (_, ended) in enumerate(taken):
            if (error := failed.get(place)) is not None:
                _fail(ended, error)
            elif not ended.done() and record is not None:
                ended.set_result(record)

    async def _replace(self, study_id: str, seen: Seen, record: StudyRecord | None) -> bool:
        """Swap the document; return False if another was faster."""
        if record is None:
            return True
        before = None if seen.record is None else seen.record.rest
        record, data = await self._room.fitted(record, seen.record)
        has_won = await self._swap(study_id, seen, Seen(record=record), data)
        if record.rest != before:
            with suppress(StoreUnavailableError, UnreadableDocumentError):  # it lies there, unnamed
                # One that seems lost may have won, and others have swapped it since.
                stands = record if has_won else (await self.read(study_id)).record
                await self._remove_rests(study_id, (before, record.rest), stands)
        return has_won

    async def _remove_rests(
        self, study_id: str, entries: Iterable[BesideEntry | None], stands: StudyRecord | None
    ) -> None:
        """Remove those of these that the record which stands does not name."""
        for entry in entries:
            if entry is not None and (stands is None or stands.rest != entry):
                # Not for good: an older version of the document that is brought back needs it.
                await self._objects.delete(rest_key(study_id, entry.name))

    async def _swap(self, study_id: str, seen: Seen, new: Seen, data: bytes) -> bool:
        key = document_key(study_id)
        tag = await self._objects.swap(key, data, tag=seen.tag, media_type=MEDIA_TYPE)
        if tag is None:
            self._forget(study_id)
            return False
        self._remember(study_id, Seen(new.record, new.closing, tag, _size(new.record, data)))
        is_withdrawal = withdrawn_study(study_id) is not None
        if self._told is not None and new.record is not None and not is_withdrawal:
            self._told(study_id)
        return True

    def _remember(self, study_id: str, seen: Seen) -> Seen:
        self._forget(study_id)
        if seen.record is not None:
            self._remembered[study_id] = seen
            self._remembered_bytes += seen.size
            while self._remembered_bytes > _REMEMBERED_BYTES:
                self._forget(next(iter(self._remembered)))
        return seen

    def _forget(self, study_id: str) -> None:
        if (seen := self._remembered.pop(study_id, None)) is not None:
            self._remembered_bytes -= seen.size


def _changed(seen: Seen, changes: list[Change]) -> tuple[StudyRecord | None, dict[int, Exception]]:
    """Return the record with all changes that can be made, and the errors of the others."""
    failed: dict[int, Exception] = {}
    try:
        record = seen.open_record()
    except StudyBeingDeletedError as error:
        return None, dict.fromkeys(range(len(changes)), error)
    for place, change in enumerate(changes):
        try:
            record = change(record)
        except Exception as error:  # noqa: BLE001 - told to whose change it was
            failed[place] = error
    return record, failed


def _size(record: StudyRecord | None, data: bytes) -> int:
    return len(data) + (0 if record is None else beside_bytes(record))


def _fail(ended: asyncio.Future[StudyRecord], error: Exception) -> None:
    if not ended.done():
        ended.set_exception(error)
