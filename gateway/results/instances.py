"""Instances by their SOP Instance UID: a request for storage commitment names no study.

Two objects for an instance of a sender that may ask. Under ``instances/{sop_instance_uid}.json``
an `InstancePointer` names its study. ``results/{study_id}/pointers/{sop_instance_uid}``, which is
empty, is written before it and removed after it: so a deletion finds the pointers of its study,
whatever died between the two. A pointer proves nothing; the study's document does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.results.keys import pointers_folder
from gateway.schemas.stored_document import StoredDocument
from gateway.storage.documents import read_or_none, replace_document
from gateway.storage.layout import INSTANCES

if TYPE_CHECKING:
    from gateway.storage.protocol import ObjectStore


class InstancePointer(StoredDocument):
    """The study that an instance was accepted for."""

    study_id: str
    sop_class_uid: str
    submission_id: str


class Instances:
    """Pointers to the instances on one store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def add(self, sop_instance_uid: str, pointer: InstancePointer) -> None:
        """Write the pointer to an accepted instance, over that of an earlier sender."""
        mark = f"{pointers_folder(pointer.study_id)}{sop_instance_uid}"
        await self._objects.create(mark, b"", media_type="application/octet-stream")
        await replace_document(self._objects, pointer_key(sop_instance_uid), pointer)

    async def find(self, sop_instance_uid: str) -> InstancePointer | None:
        """Return the pointer to an instance; None if it was not accepted.

        Raises
        ------
        UnreadableDocumentError
        """
        return await read_or_none(self._objects, InstancePointer, pointer_key(sop_instance_uid))

    async def remove_of(self, study_id: str) -> None:
        """Remove the pointers of a study for good, but not their marks."""
        folder = pointers_folder(study_id)
        for mark in await self._objects.keys(folder):
            await self._objects.purge(pointer_key(mark.removeprefix(folder)))


def pointer_key(sop_instance_uid: str) -> str:
    """Return the key of the pointer to an instance."""
    return f"{INSTANCES}{sop_instance_uid}.json"
