"""Verification of one study: its document, and what of it names what under its folder."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING

from gateway.observability.pseudonyms import key_reference
from gateway.results import deletion
from gateway.results.deliveries import study_deliveries
from gateway.results.document_room import RecordRest, with_rest
from gateway.results.documents import Page, PageList, StudyDocument
from gateway.results.keys import (
    document_key,
    heatmap_key,
    image_key,
    page_key,
    page_list_key,
    pointers_folder,
    rest_key,
    shadows_folder,
    study_folder,
    submitted_key,
)
from gateway.results.shadows import ShadowReading
from gateway.results.tombstones import last_deleted_at
from gateway.storage.layout import CALLBACKS, DELIVERIES, PARKED, READINGS, SUBMISSIONS
from gateway.verification.findings import Kind, Look
from gateway.work.documents import (
    OwedReadings,
    PendingCallback,
    PendingDelivery,
    Submission,
)
from gateway.work.entries import JOB
from gateway.work.keys import (
    WorkId,
    entry_key,
    kept_folder,
    kept_folders,
    parked_key,
    to_the_second,
)

if TYPE_CHECKING:
    from gateway.results.documents import PageEntry, Reading, StudyRecord
    from gateway.storage.protocol import ObjectStore
    from gateway.verification.findings import D
    from gateway.work.documents import WorkDocument

_IMAGE = re.compile(r"images/([0-9a-f]{64})/image-[0-9a-f]{8}\.(?:jpg|png|dcm)")


async def look_at_study(objects: ObjectStore, study_id: str) -> Look:
    """Return what is amiss with a study; its folder may be gone by now."""
    folder = study_folder(study_id)
    look = Look(objects, await objects.keys(folder))
    if look.keys:
        await _StudyLook(look, study_id, folder).run()
    return look


class _StudyLook:
    """A look at one study's objects, by their names below its folder."""

    def __init__(self, look: Look, study_id: str, folder: str) -> None:
        self._look = look
        self._study_id = study_id
        self._folder = folder
        self._key = document_key(study_id)
        self._named = {self._key}

    async def run(self) -> None:
        """Look at everything, one object after the other: one image is in memory at a time."""
        if self._key not in self._look.keys:
            if not await self._is_deleted(None):
                self._without_document()
            return
        document = await self._look.document(StudyDocument, self._key)
        if document is None:
            return
        if document.closing is not None:  # a gateway removes what is left, by the note
            await self._look.refer(deletion.note_key(self._study_id), self._key)
            return
        record = document.record
        if record is None or await self._is_deleted(record):
            return
        if record.study_id != self._study_id:
            self._misplaced(self._key)
            return
        await self._record(record)
        for key in sorted(set(self._look.keys) - self._named):
            self._look.tell(Kind.ORPHAN_OBJECT, key, "The study's document does not name it.")
        for key in sorted(self._named & set(self._look.keys)):
            await self._bytes(key)

    def _without_document(self) -> None:
        """Tell of a folder without a document.

        Images alone are left by a gateway that died before it told anybody of them; all else is
        written once there is a document.
        """
        begun = kept_folders(SUBMISSIONS, self._study_id)
        images = [
            key
            for key in self._look.keys
            if _IMAGE.fullmatch(self._name(key)) or key.startswith(begun)
        ]
        if len(images) < len(self._look.keys):
            self._look.missing(self._key, "what lies beside it")
        for key in images:
            self._look.tell(Kind.ORPHAN_OBJECT, key, "The study has no document.")

    def _name(self, key: str) -> str:
        return key.removeprefix(self._folder)

    async def _is_deleted(self, record: StudyRecord | None) -> bool:
        """Return True if nothing more is to be said of a study that was deleted."""
        notes = await self._look.objects.keys(deletion.deletion_folder(self._study_id))
        last = last_deleted_at(notes)
        if last is None:
            return False
        if record is not None and (record.received_at or record.changed_at) > last:
            return False  # its study_id came again
        self._look.tell(
            Kind.DELETED_STUDY, self._folder, "It was deleted and is there again: delete it anew."
        )
        return True

    async def _record(self, record: StudyRecord) -> None:
        if record.rest is not None:
            rest = await self._beside(RecordRest, rest_key(self._study_id, record.rest.name))
            record = record if rest is None else with_rest(record, rest)
        images = {reading.sha256 for reading in record.readings}
        for reading in record.readings:
            self._reading(reading, self._key)
        for listed in [*await self._listed_pages(record), *record.pages]:
            key = page_key(self._study_id, listed.name)
            page = await self._beside(Page, key)
            for reading in () if page is None else page.readings:
                images.add(reading.sha256)
                self._reading(reading, key)
        await self._work(record)
        await self._shadows()
        marks = pointers_folder(self._study_id)  # one without its pointer is of a death between
        self._named.update(key for key in self._look.keys if key.startswith(marks))
        for entry in record.open_images:
            if entry.parked is not None:
                await self._look.refer(f"{PARKED}{entry.parked}.json", self._key)
        referred = {sha256 for entry in record.open_images for sha256 in entry.beside}
        for sha256 in sorted((referred | set(record.standing.values())) - images):
            if any(image.startswith(sha256) for image in images):  # its first digits
                continue
            self._look.missing(f"{self._folder}images/{sha256}/", self._key)

    async def _listed_pages(self, record: StudyRecord) -> list[PageEntry]:
        """Return the pages on lists, which the document has not itself."""
        pages: list[PageEntry] = []
        for entry in record.page_lists:
            found = await self._beside(PageList, page_list_key(self._study_id, entry.name))
            pages += () if found is None else found.pages
        return pages

    async def _beside(self, kind: type[D], key: str) -> D | None:
        """Return what moved out of the document; None where that is told."""
        self._named.add(key)
        return await self._look.named_document(kind, key, self._key)

    async def _work(self, record: StudyRecord) -> None:
        """Look at work of the study that waits or has failed."""
        for waiting in record.pending:
            work = WorkId(self._study_id, waiting.id)
            due = waiting.due or to_the_second(work.received_at)
            await self._submission(work, entry_key(SUBMISSIONS, work, due))
        for failed in record.failed:
            work = WorkId(self._study_id, failed.id)
            await self._submission(work, kept_folder(SUBMISSIONS, work) + JOB)
            item = key_reference(parked_key(SUBMISSIONS, work))
            await self._look.refer(f"{PARKED}{item}.json", self._key)
        for view in study_deliveries(record) or ():
            if view.parked is not None:
                await self._look.refer(f"{PARKED}{view.parked}.json", self._key)
        await self._failed_work(CALLBACKS, PendingCallback)
        await self._failed_work(DELIVERIES, PendingDelivery)
        await self._failed_work(READINGS, OwedReadings)

    async def _submission(self, work: WorkId, key: str) -> None:
        """Look at images that wait, or have failed, by the document that lists them."""
        folder = kept_folder(SUBMISSIONS, work)
        self._named.update(name for name in self._look.keys if name.startswith(folder))
        document = await self._look.named_document(Submission, key, self._key)
        for part in document.parts if document is not None else ():
            image = submitted_key(work, part)
            self._named.add(image)
            if image not in self._look.keys:
                self._look.missing(image, key)

    async def _failed_work(self, kind: str, document: type[WorkDocument]) -> None:
        """Look at work that failed and that the document does not list; parked items name it."""
        folder = kept_folders(kind, self._study_id)
        for key in [key for key in self._look.keys if key.startswith(folder)]:
            self._named.add(key)
            await self._look.document(document, key)

    async def _shadows(self) -> None:
        """Look at readings by shadow models, which the document does not list."""
        folder = shadows_folder(self._study_id)
        for key in [key for key in self._look.keys if key.startswith(folder)]:
            self._named.add(key)
            await self._look.document(ShadowReading, key)

    def _reading(self, reading: Reading, referrer: str) -> None:
        if reading.study_id != self._study_id:
            self._misplaced(referrer)
            return
        key = image_key(reading)
        self._named.add(key)
        self._named.update(heatmap_key(reading, index) for index in range(len(reading.frames)))
        if key not in self._look.keys:
            self._look.missing(key, referrer)

    async def _bytes(self, key: str) -> None:
        if not key.startswith(f"{self._folder}images/"):
            return
        data = await self._look.data(key)
        found = _IMAGE.fullmatch(self._name(key))
        if data is None or found is None:
            return
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        if digest != found[1]:
            self._look.tell(Kind.ALTERED_IMAGE, key, "Its SHA-256 is not the one in its key.")

    def _misplaced(self, key: str) -> None:
        self._look.tell(
            Kind.UNREADABLE_DOCUMENT, key, "It speaks of another object than its key does."
        )
