"""The bytes that stand under a name of the drop folder, where several were read under it.

Under ``results/{study_id}/names/{name}/``, where the name is the object's reference:

``{n}.json``
    A `StandingFile`; n counts from 1 and the last one holds. Each is written once, so that of two
    gateways that note a change at once the later one looks again.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from gateway.results.documents import StandingFile
from gateway.results.keys import study_folder
from gateway.runtime.concurrency import together
from gateway.storage.documents import create_document, read_document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.storage.protocol import ObjectStore


class ReplacedFiles:
    """Names of all studies on one store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def load(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the SHA-256 of what stands under each name, by the keys of all its notes."""
        last = {key.split("/")[-2]: key for key in sorted(keys)}
        found = await together(self._read(key) for key in last.values())
        return {name: note.sha256 for name, note in zip(last, found, strict=True)}

    async def note(self, study_id: str, name: str, sha256: str) -> bool:
        """Note what stands under the name; return False where that was known."""
        while True:
            folder = f"{_folder(study_id)}{name}/"
            keys = await self._objects.keys(folder)
            if keys and (await self._read(keys[-1])).sha256 == sha256:
                return False
            note = StandingFile(sha256=sha256, noted_at=dt.datetime.now(dt.UTC))
            if await create_document(self._objects, f"{folder}{len(keys) + 1:06}.json", note):
                return True

    async def _read(self, key: str) -> StandingFile:
        return read_document(StandingFile, key, await self._objects.read(key))


def notes_among(study_id: str, keys: Iterable[str]) -> list[str]:
    """Return those of a study's keys that are of notes."""
    return [key for key in keys if key.startswith(_folder(study_id))]


def _folder(study_id: str) -> str:
    return f"{study_folder(study_id)}names/"
