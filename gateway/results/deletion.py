"""Deletion of studies, of which a tombstone stays.

A deletion puts a `Closing` in place of the study's record, by the same swap that adds to one: what
comes before it is deleted with the study, what comes after it is refused. Then all else of the
study is removed, and a `Tombstone` written under ``deleted/{reference}/{time}.json``, where the
reference is a hash of the study_id; that one stays.

``work/deletions/{reference}.json`` has the closing too, and is written first. A sweep finds it:
once every request that had begun before must have ended, it removes what these left beside the
document, and then the closing. Until then the study_id cannot be used again.
"""

from __future__ import annotations

import datetime as dt
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.audit.trail import name_study
from gateway.errors import ObjectNotFoundError, UnreadableDocumentError
from gateway.observability.pseudonyms import key_reference
from gateway.results.asked_commitments import AskedCommitments
from gateway.results.instances import Instances
from gateway.results.keys import document_key, images_folder, pages_folder, study_folder
from gateway.results.tombstone import Closing, Tombstone
from gateway.runtime.concurrency import together
from gateway.storage.documents import create_document, read_document, replace_document
from gateway.storage.layout import DELETED, DELETIONS
from gateway.work.entries import entries_of
from gateway.work.keys import KINDS, kept_folders

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.results.documents import StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.results.tombstone import Indexed, Reason
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

# Deletions that are ended side by side.
_AT_ONCE = 32


class StudyFootprint(Protocol):
    """Objects that a part of the gateway keeps of studies outside of their folders."""

    async def keys_of(self, study_id: str) -> list[str]:
        """Return the keys of all that is kept of the study."""
        ...


class StudyEntries(Protocol):
    """Entries by which studies are searched."""

    async def placing(self) -> Callable[[StudyRecord], Indexed | None]:
        """Return the function that tells the place of a study's entries."""
        ...

    def forget(self, study_id: str, place: Indexed | None) -> None:
        """Schedule the removal of a study's entries; without a place they are looked for."""
        ...

    async def remove(self, study_id: str, place: Indexed | None) -> None:
        """Remove a study's entries; without a place they are looked for."""
        ...


class Withdrawals(Protocol):
    """Withdrawals of what destinations have of studies; see `gateway.delivery.withdrawals`."""

    async def prepare(self, closing: Closing, record: StudyRecord) -> str | None:
        """Write what is to be withdrawn of a study; return its name, or None if nothing is."""
        ...

    async def promise(self, name: str) -> None:
        """Promise a withdrawal of a study that is closed, unless that was done."""
        ...

    async def drop(self, closing: Closing) -> None:
        """Remove what was prepared for a deletion that did not close its study."""
        ...

    async def sweep(self) -> None:
        """Remove the withdrawals that are over."""
        ...


class Deletion:
    """Deletions of all gateways on one store.

    Parameters
    ----------
    objects, documents
        The store, and the studies on it.
    footprint, entries
        Objects of a study elsewhere, and its entries in the search index.
    closed_s
        Seconds that a study stays closed at the least: longer than any request takes.
    """

    def __init__(
        self,
        objects: ObjectStore,
        documents: StudyDocuments,
        *,
        footprint: StudyFootprint,
        entries: StudyEntries,
        closed_s: float,
        metrics: Metrics,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._objects = objects
        self._documents = documents
        self._footprint = footprint
        self._entries = entries
        self._closed_s = closed_s
        self._metrics = metrics
        self._pseudonyms = pseudonyms
        self._withdrawals: Withdrawals | None = None
        self._seen: dict[str, tuple[float, dt.datetime]] = {}  # since when, and which one

    def follow(self, withdrawals: Withdrawals) -> None:
        """Have what destinations have of deleted studies withdrawn from now on."""
        self._withdrawals = withdrawals

    async def exists(self, study_id: str) -> bool:
        """Return True if anything is kept of the study, and it is not being deleted."""
        try:
            seen = await self._documents.read(study_id)
        except UnreadableDocumentError:
            return True
        if seen.closing is not None:  # without a note no sweep would end it
            return not await self._objects.keys(note_key(study_id))
        if seen.record is not None:
            return True
        return bool(await self._objects.keys(study_folder(study_id)))

    async def was_deleted(self, study_id: str) -> bool:
        """Return True if the study was deleted before."""
        return bool(await self._objects.keys(deletion_folder(study_id)))

    async def delete(self, study_id: str, reason: Reason) -> None:
        """Remove everything that is kept of the study, and leave a tombstone."""
        closing = Closing(study_id=study_id, requested_at=dt.datetime.now(dt.UTC), reason=reason)
        key = note_key(study_id)
        await replace_document(self._objects, key, closing)
        self._seen[key] = time.monotonic(), closing.requested_at
        place = await self._entries.placing()
        withdrawal: str | None = None

        async def prepare(record: StudyRecord) -> None:
            nonlocal withdrawal
            if self._withdrawals is not None:
                withdrawal = await self._withdrawals.prepare(closing, record)

        def complete(new: Closing, record: StudyRecord) -> Closing:
            return new.model_copy(update={"indexed": place(record), "withdrawal": withdrawal})

        stands = await self._documents.close(closing, complete, prepare)
        if self._withdrawals is not None and withdrawal not in {None, stands.withdrawal}:
            await self._withdrawals.drop(closing)  # another deletion closed it
        self._entries.forget(study_id, stands.indexed)
        await self._carry_out(stands)
        self._metrics.backlog.studies_deleted.labels(reason).inc()
        log.info("study.deleted", study_ref=self._pseudonyms.study_ref(study_id), reason=reason)

    async def forget(self, study_id: str) -> None:
        """Remove everything that is kept of a finished study, without a tombstone."""
        name_study(study_id)
        await self._purge(study_id)
        await self._objects.purge(document_key(study_id))

    async def sweep(self) -> None:
        """End the deletions whose time is over, this gateway's and those of others."""
        keys = await self._objects.keys(DELETIONS)
        self._seen = {key: self._seen[key] for key in keys if key in self._seen}
        # Many at once: those of one day have one object of the search index in common.
        for start in range(0, len(keys), _AT_ONCE):
            await together(self._end_readable(key) for key in keys[start : start + _AT_ONCE])
        if self._withdrawals is not None:
            await self._withdrawals.sweep()

    async def _end_readable(self, key: str) -> None:
        with suppress(UnreadableDocumentError):  # logged; the others end no later
            await self._end(key)

    async def _end(self, key: str) -> None:
        """Carry a deletion out, where its gateway may have died over it, or end it."""
        try:
            note = await self._objects.read_tagged(key)
        except ObjectNotFoundError:
            return
        closing = read_document(Closing, key, note.data)
        if self._seen.get(key, (0.0, None))[1] != closing.requested_at:
            self._seen[key] = time.monotonic(), closing.requested_at
        seen = await self._documents.read(closing.study_id)
        if seen.closing is not None:
            await self._entries.remove(closing.study_id, seen.closing.indexed)
            await self._carry_out(seen.closing)
        # By this gateway's monotonic clock: a clock that is set must not end it early.
        if time.monotonic() - self._seen[key][0] < self._closed_s:
            return
        if seen.closing is not None:
            await self._documents.end(seen.closing)
        # Without a closing its gateway died before the study was: its deletion was not answered.
        elif self._withdrawals is not None:
            await self._withdrawals.drop(closing)
        await self._objects.delete(key, tag=note.tag)  # and not that of a later deletion
        await self._objects.purge(key, past_only=True)

    async def _carry_out(self, closing: Closing) -> None:
        name_study(closing.study_id)
        if closing.withdrawal is not None and self._withdrawals is not None:
            await self._withdrawals.promise(closing.withdrawal)
        whole = await self._purge(closing.study_id)
        tombstone = Tombstone(
            deleted_at=closing.requested_at, reason=closing.reason, older_versions_kept=not whole
        )
        time = f"{closing.requested_at:%Y%m%dT%H%M%S%fZ}"
        key = f"{deletion_folder(closing.study_id)}{time}.json"
        await create_document(self._objects, key, tombstone)

    async def _purge(self, study_id: str) -> bool:
        """Purge all but the document; return True if nothing is left, not even older versions."""
        await Instances(self._objects).remove_of(study_id)
        await AskedCommitments(self._objects).remove_of(study_id)
        kept = (kept_folders(kind, study_id) for kind in KINDS)
        folders = (images_folder(study_id), pages_folder(study_id), *kept)
        prefixes = [*folders, *await entries_of(self._objects, study_id)]
        beside = await self._objects.keys(study_folder(study_id))
        prefixes += [
            key for key in beside if not key.startswith(folders) and key != document_key(study_id)
        ]
        prefixes += await self._footprint.keys_of(study_id)
        purged = [self._objects.purge(prefix) for prefix in prefixes]
        purged.append(self._objects.purge(document_key(study_id), past_only=True))
        return all(await together(purged))


def deletion_folder(study_id: str) -> str:
    """Return what the keys of the notes of a study's deletions begin with."""
    return f"{DELETED}{key_reference(study_id)}/"


def note_key(study_id: str) -> str:
    """Return the key of the note of a study's deletion that is under way."""
    return f"{DELETIONS}{key_reference(study_id)}.json"
