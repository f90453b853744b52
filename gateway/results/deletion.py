"""Deleting studies, and remembering that it was done.

Under ``deleted/{reference}/``, where the reference is a hash of the study_id:

``closed.json``
    A `Closing`, written before anything is removed: whoever wants to add to the study finds the
    note before its first write and leaves it, and whoever is at it finds the note after its last
    write and removes what it wrote.
``{time}.json``
    A `Tombstone`, which stays.

A sweep removes what a gateway that died left behind, once every request that had begun before the
note must have ended, and then the note. Until then the study_id cannot be used again.
"""

from __future__ import annotations

import datetime as dt
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.audit.trail import name_study
from gateway.errors import StudyBeingDeletedError, UnreadableDocumentError
from gateway.observability.pseudonyms import key_reference
from gateway.results.tombstone import Closing, Tombstone
from gateway.runtime.concurrency import together
from gateway.storage.documents import create_document, read_or_none
from gateway.storage.layout import DELETED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.results.tombstone import Reason
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

_CLOSED = "closed.json"
# The record of each deletion stays, so that going through them all costs more with the years.
_SURVEY_S = 3600.0


class StudyFootprint(Protocol):
    """Objects that a part of the gateway keeps of studies outside of their folders."""

    async def keys_of(self, study_id: str) -> list[str]:
        """Return the keys of all that is kept of the study."""
        ...


class Deletion:
    """Deletions of all gateways on one store.

    Parameters
    ----------
    objects
        The store.
    roots
        Under each of these a study has a folder of its own.
    footprint
        What is kept of a study elsewhere.
    closed_s
        Seconds that a study stays closed at the least: longer than any request takes.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        roots: Sequence[str],
        footprint: StudyFootprint,
        closed_s: float,
        metrics: Metrics,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._objects = objects
        self._roots = roots
        self._footprint = footprint
        self._closed_s = closed_s
        self._metrics = metrics
        self._pseudonyms = pseudonyms
        self._notes: dict[str, tuple[float, dt.datetime]] = {}  # since when, and which one
        self._survey_at = 0.0

    async def exists(self, study_id: str) -> bool:
        """Return whether anything is kept of the study."""
        found = await together(self._objects.keys(f"{root}{study_id}/") for root in self._roots)
        return any(found)

    async def was_deleted(self, study_id: str) -> bool:
        """Return whether the study was deleted before, or is being deleted."""
        return bool(await self._objects.keys(deletion_folder(study_id)))

    async def check_open(self, study_id: str) -> None:
        """Refuse a study that is being deleted.

        Raises
        ------
        StudyBeingDeletedError
        """
        if await self._closing(f"{deletion_folder(study_id)}{_CLOSED}") is not None:
            raise StudyBeingDeletedError

    async def check_written(self, study_id: str) -> None:
        """Take back what was just written of a study that is being deleted.

        Raises
        ------
        StudyBeingDeletedError
            It is, and nothing is left of it.
        """
        try:
            await self.check_open(study_id)
        except StudyBeingDeletedError:
            await self._purge(study_id)
            raise

    async def delete(self, study_id: str, reason: Reason) -> None:
        """Remove everything that is kept of the study, and remember it."""
        closing = Closing(study_id=study_id, requested_at=dt.datetime.now(dt.UTC), reason=reason)
        key = f"{deletion_folder(study_id)}{_CLOSED}"
        try:
            await create_document(self._objects, key, closing)
        finally:  # the store may have the note though nobody heard of it
            self._see(key, closing)
        await self._carry_out(closing)
        self._metrics.backlog.studies_deleted.labels(reason).inc()
        log.info("study.deleted", study_ref=self._pseudonyms.study_ref(study_id), reason=reason)

    async def forget(self, study_id: str) -> None:
        """Remove everything that is kept of a study that nobody adds to, and remember nothing."""
        name_study(study_id)
        await self._purge(study_id)

    async def sweep(self) -> None:
        """End the deletions whose time is over.

        They are this gateway's own, and those of others that the first sweep and then one an hour
        finds in the store.
        """
        if time.monotonic() >= self._survey_at:
            for key in await self._objects.keys(DELETED):
                if key.endswith(f"/{_CLOSED}") and key not in self._notes:
                    with suppress(UnreadableDocumentError):  # logged; the others end no later
                        self._see(key, await self._closing(key))
            self._survey_at = time.monotonic() + _SURVEY_S
        for key, note in list(self._notes.items()):
            # By this gateway's own watch: whoever sets a clock must not end it early.
            if time.monotonic() - note[0] >= self._closed_s:
                with suppress(UnreadableDocumentError):
                    await self._end(key, note)

    async def _end(self, key: str, note: tuple[float, dt.datetime]) -> None:
        """End a deletion whose time is over."""
        closing = await self._closing(key)
        if closing is not None and closing.requested_at != note[1]:
            # Another gateway ended that deletion; the study came again and was deleted again.
            self._see(key, closing)
            return
        if closing is not None:
            await self._carry_out(closing)
            await self._objects.purge(key)
        if self._notes[key] == note:  # else it was deleted again here
            del self._notes[key]

    def _see(self, key: str, closing: Closing | None) -> None:
        if closing is not None:
            self._notes[key] = time.monotonic(), closing.requested_at

    async def _carry_out(self, closing: Closing) -> None:
        name_study(closing.study_id)
        whole = await self._purge(closing.study_id)
        tombstone = Tombstone(
            deleted_at=closing.requested_at, reason=closing.reason, older_versions_kept=not whole
        )
        time = f"{closing.requested_at:%Y%m%dT%H%M%S%fZ}"
        key = f"{deletion_folder(closing.study_id)}{time}.json"
        await create_document(self._objects, key, tombstone)

    async def _purge(self, study_id: str) -> bool:
        """Purge the study; return whether nothing is left, not even as an older version."""
        prefixes = [f"{root}{study_id}/" for root in self._roots]
        prefixes += await self._footprint.keys_of(study_id)
        return all(await together(self._objects.purge(prefix) for prefix in prefixes))

    async def _closing(self, key: str) -> Closing | None:
        return await read_or_none(self._objects, Closing, key)


def deletion_folder(study_id: str) -> str:
    """Return what the keys of the notes of a study's deletions begin with."""
    return f"{DELETED}{key_reference(study_id)}/"
