"""Images that could not be processed, until they are sent again mended.

An entry, ``results/{study_id}/not_processed/{sha256}.json``, goes when a later request of its
study has processed

- the same bytes, as when the metadata were mended;
- or a DICOM file of the same SOP Instance UID, as when it was exported again;
- or, as the request is sent again, other bytes under the same part's name beside an image that was
  processed beside it before;
- or, sent alone, an image that the study did not have, where this entry is the only one it can
  mean: the view of neither says otherwise.

The entry of an image that is parked goes with its parked item (see `gateway.dropfolder.
parked_images`), or for the first two reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.results.keys import study_folder
from gateway.runtime.concurrency import together
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.storage.documents import create_document, read_or_none, replace_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.results.documents import Reading
    from gateway.storage.protocol import ObjectStore


class OpenImages:
    """Entries of all studies on one store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def note(self, study_id: str, entries: Sequence[NotProcessedDocument]) -> list[str]:
        """Store entries, one for each image; return their keys."""
        distinct = {_key(study_id, entry.sha256): entry for entry in reversed(entries)}
        await together(self._note(key, entry) for key, entry in distinct.items())
        return list(distinct)

    async def note_parked(self, study_id: str, entry: NotProcessedDocument) -> None:
        """Store the entry of a parked image, unless a request of the same bytes has left one."""
        before = await self._read(_key(study_id, entry.sha256))
        if before is None or before.parked is not None:
            await self.note(study_id, [entry])

    async def forget_parked(self, study_id: str, sha256: str, parked_id: str) -> None:
        """Remove the entry of a parked item."""
        key = _key(study_id, sha256)
        before = await self._read(key)
        if before is not None and before.parked == parked_id:
            await self._objects.delete(key)

    async def load(self, keys: Iterable[str]) -> list[NotProcessedDocument]:
        """Return the entries that are there still, in the order they came and were sent in."""
        found = await together(self._read(key) for key in keys)
        return sorted(
            (entry for entry in found if entry is not None),
            key=lambda entry: (entry.received_at, len(entry.part), entry.part),
        )

    async def settle(
        self, study_id: str, keys: Iterable[str], processed: Mapping[str, Reading], *, alone: bool
    ) -> None:
        """Remove the entries that a request has mended.

        Parameters
        ----------
        keys
            Of the entries that were there before.
        processed
            The readings of the request's images by the name of their part.
        alone
            Whether the request had one image only.
        """
        entries = await self.load(keys)
        mended = [entry for entry in entries if _came_again(entry, processed)]
        if alone and not mended:
            [reading] = processed.values()
            mended = _meant_by(reading, entries)
        await together(self._objects.delete(_key(study_id, entry.sha256)) for entry in mended)

    async def _note(self, key: str, entry: NotProcessedDocument) -> None:
        if await create_document(self._objects, key, entry):
            return
        before = await self._read(key)
        same_time = {"received_at": before.received_at} if before else {}
        if before != entry.model_copy(update=same_time):
            await replace_document(self._objects, key, entry)

    async def _read(self, key: str) -> NotProcessedDocument | None:
        return await read_or_none(self._objects, NotProcessedDocument, key)


def entries_among(study_id: str, keys: Iterable[str]) -> list[str]:
    """Return those of a study's keys that are of entries."""
    return [key for key in keys if key.startswith(_folder(study_id))]


def _folder(study_id: str) -> str:
    return f"{study_folder(study_id)}not_processed/"


def _key(study_id: str, sha256: str) -> str:
    return f"{_folder(study_id)}{sha256}.json"


def _came_again(entry: NotProcessedDocument, processed: Mapping[str, Reading]) -> bool:
    hashes = {reading.sha256 for reading in processed.values()}
    if entry.sha256 in hashes or any(_is_instance(entry, item) for item in processed.values()):
        return True
    there = processed.get(entry.part)
    before = set(entry.beside)
    return there is not None and there.sha256 not in before and not hashes.isdisjoint(before)


def _is_instance(entry: NotProcessedDocument, reading: Reading) -> bool:
    """The entry's instance, if it is not one of a device that gives one UID to several."""
    uid = entry.sop_instance_uid
    return (
        uid is not None and uid == reading.sop_instance_uid and (reading.sha256 not in entry.beside)
    )


def _meant_by(
    reading: Reading, entries: Sequence[NotProcessedDocument]
) -> list[NotProcessedDocument]:
    """Return the one entry that an image sent alone can mean; none if it may be another."""
    view = reading.metadata.get("view")
    fitting = [
        entry
        for entry in entries
        if entry.parked is None  # which is known by its name
        and entry.received_at < reading.received_at
        and (entry.view is None or entry.view == view)
    ]
    return fitting if len(fitting) == 1 else []
