"""Entries of work that was promised: one small object for each piece, until it is done.

Any gateway on the store may do it: it lists what is due, and claims an entry by compare-and-swap.
What has become of the work is not known here, but in its study's document: an entry only points
there (see `gateway.work.worker`). Doing work twice must do no harm: a gateway whose claim has
expired may still be at it.

Not Celery, arq or SQS: each keeps its work with a broker, and state is to lie in the store alone.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from gateway.errors import ObjectNotFoundError, UnreadableDocumentError
from gateway.runtime.concurrency import together
from gateway.storage.documents import (
    MEDIA_TYPE,
    read_document,
    read_or_none,
    stored_form,
    swap_document,
)
from gateway.work.documents import WorkDocument
from gateway.work.keys import KINDS, entry_key, kept_folder, of_entry, to_the_second

if TYPE_CHECKING:
    import datetime as dt

    from gateway.storage.protocol import ObjectStore
    from gateway.work.claims import Claims
    from gateway.work.keys import WorkId

T = TypeVar("T", bound=WorkDocument)
T_contra = TypeVar("T_contra", bound=WorkDocument, contravariant=True)

JOB = "job.json"
"""Name of the document of work that failed for good, beside what the work needs."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """An entry as it was read or written last.

    Parameters
    ----------
    work, due
        The work and its time, as its key has them.
    document, tag
        Its content, and the tag by which a swap knows it again.
    """

    work: WorkId
    due: dt.datetime
    document: T
    tag: str


class Needs(Protocol[T_contra]):
    """Objects that work of one kind needs besides its document."""

    async def remove(self, work: WorkId, document: T_contra) -> None:
        """Remove those of work that is over."""
        ...


class Entries(Generic[T]):
    """Entries of one kind of work on one store.

    Parameters
    ----------
    objects
        The store.
    kind
        Prefix of the kind.
    document
        Content of an entry.
    claims
        Of this gateway.
    needs
        Objects that the work needs besides; none if None.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        kind: str,
        document: type[T],
        claims: Claims,
        needs: Needs[T] | None = None,
    ) -> None:
        self.kind = kind
        self._objects = objects
        self._document = document
        self._claims = claims
        self._needs = needs

    async def due(self) -> list[tuple[WorkId, dt.datetime]]:
        """Return all work that has an entry with the times of the next attempts, in their order."""
        found = [of_entry(self.kind, key) for key in await self._objects.keys(self.kind)]
        return [item for item in found if item is not None]

    async def add(
        self,
        work: WorkId,
        document: T,
        *,
        due: dt.datetime | None = None,
    ) -> Entry[T] | None:
        """Write the entry of new work and return it.

        None where the entry was there already and has changed since.

        Parameters
        ----------
        due
            Time of the first attempt; at once if None.
        """
        due = to_the_second(due or work.received_at)
        tag = await self._swap(work, due, document, None)
        return None if tag is None else Entry(work, due, document, tag)

    async def revive(self, work: WorkId, document: T, due: dt.datetime) -> None:
        """Write the entry of work that failed, over one of an attempt to revive it."""
        key = entry_key(self.kind, work, due)
        await self._objects.replace(key, stored_form(document), media_type=MEDIA_TYPE)

    async def read(self, work: WorkId, due: dt.datetime) -> Entry[T] | None:
        """Return the entry; None where there is none.

        Raises
        ------
        UnreadableDocumentError
        """
        key = entry_key(self.kind, work, due)
        try:
            stored = await self._objects.read_tagged(key)
        except ObjectNotFoundError:
            return None
        return Entry(work, due, read_document(self._document, key, stored.data), stored.tag)

    async def is_free(self, entry: Entry[T]) -> bool:
        """Return True if no other gateway has a claim on the work that holds."""
        claim = entry.document.claim
        return claim is None or await self._claims.is_over(entry.work, claim)

    async def claim(self, entry: Entry[T], **changes: object) -> Entry[T] | None:
        """Return the entry with a claim of this gateway; None if another was faster, or did it.

        Parameters
        ----------
        changes
            Of the document besides.
        """
        return await self.change(entry, claim=self._claims.new(), **changes)

    async def change(self, entry: Entry[T], **changes: object) -> Entry[T] | None:
        """Return the entry with its document changed; None if it has changed since."""
        document = entry.document.model_copy(update=changes)
        tag = await self._swap(entry.work, entry.due, document, entry.tag)
        return None if tag is None else Entry(entry.work, entry.due, document, tag)

    async def postpone(
        self, entry: Entry[T], due: dt.datetime, **changes: object
    ) -> Entry[T] | None:
        """Return the entry under another time; the one before stays until it is removed.

        A gateway that dies before that leaves both: the study's document says which one counts.
        None if the entry has changed since.
        """
        due = to_the_second(due)
        if due == entry.due:
            return await self.change(entry, **changes)
        document = entry.document.model_copy(update=changes)
        tag = await self._swap(entry.work, due, document, None)
        return None if tag is None else Entry(entry.work, due, document, tag)

    async def remove(self, work: WorkId, due: dt.datetime) -> None:
        """Remove the entry, with its older versions."""
        await self._objects.purge(entry_key(self.kind, work, due))

    async def keep_job(self, work: WorkId, due: dt.datetime, document: T | None) -> None:
        """Keep the document of work that failed for good; the entry's bytes where it has none."""
        if document is None:
            data = await self._objects.read(entry_key(self.kind, work, due))
        else:
            changes = {"claim": None, "broken_off": 0, "tried_since": None}
            data = stored_form(document.model_copy(update=changes))
        key = kept_folder(self.kind, work) + JOB
        await self._objects.replace(key, data, media_type=MEDIA_TYPE)

    async def job(self, work: WorkId) -> T | None:
        """Return the document of work that failed for good; None where none is kept.

        Raises
        ------
        UnreadableDocumentError
        """
        key = kept_folder(self.kind, work) + JOB
        return await read_or_none(self._objects, self._document, key)

    async def forget(self, work: WorkId, document: T | None, *, has_failed: bool = True) -> None:
        """Remove all that the work needed; its entry is to go after that.

        Parameters
        ----------
        document
            Of the work; None where it cannot be read.
        has_failed
            False of work of which no job was ever kept.
        """
        if document is not None and self._needs is not None:
            await self._needs.remove(work, document)
        if has_failed:
            await self._objects.purge(kept_folder(self.kind, work))

    async def forget_failed(self, work: WorkId) -> None:
        """Remove all that was kept of work that failed for good, its document readable or not."""
        document: T | None = None
        with suppress(UnreadableDocumentError):
            document = await self.job(work)
        await self.forget(work, document)

    async def _swap(
        self, work: WorkId, due: dt.datetime, document: T, tag: str | None
    ) -> str | None:
        return await swap_document(self._objects, entry_key(self.kind, work, due), document, tag)


async def entries_of(objects: ObjectStore, study_id: str) -> list[str]:
    """Return the keys of all entries of a study's work."""
    listed = await together(objects.keys(kind) for kind in KINDS)
    return [
        key
        for kind, keys in zip(KINDS, listed, strict=True)
        for key in keys
        if (found := of_entry(kind, key)) is not None and found[0].study_id == study_id
    ]
