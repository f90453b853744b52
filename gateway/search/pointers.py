"""Pointers from a patient ID, an accession number or a Study Instance UID to studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import UnreadableDocumentError
from gateway.runtime.concurrency import together
from gateway.search.keys import (
    ACCESSION_NUMBER,
    KEY_KEY,
    PATIENT_ID,
    POINTERS,
    STUDY_INSTANCE_UID,
    Pointer,
    pointer_folder,
    pointer_keys,
    pointer_of,
)
from gateway.storage.documents import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from gateway.search.entries import IndexEntry
    from gateway.search.hash_key import HashKey
    from gateway.search.query import StudyQuery
    from gateway.storage.protocol import ObjectStore

# The key says it all.
_CONTENT = b"{}"
_AT_ONCE = 16


class Pointers:
    """Pointers of all studies on one store.

    Parameters
    ----------
    objects, key
        The store, and the key of its hashes.
    """

    def __init__(self, objects: ObjectStore, key: HashKey) -> None:
        self._objects = objects
        self._key = key

    async def keys_of(self, entry: IndexEntry) -> list[str]:
        """Return the keys of the pointers to a study.

        Raises
        ------
        UnreadableDocumentError
            The key of the hashes cannot be read.
        """
        return list(pointer_keys(await self._key.get(), entry))

    async def keys_of_any(self) -> Callable[[IndexEntry], tuple[str, ...]]:
        """Return the function that tells the keys of the pointers that there may be to a study.

        Raises
        ------
        UnreadableDocumentError
            The key of the hashes cannot be read.
        """
        secret = await self._key.known()
        return lambda entry: () if secret is None else tuple(pointer_keys(secret, entry))

    async def add(self, keys: Sequence[str]) -> None:
        """Write pointers, unless they are there."""
        for start in range(0, len(keys), _AT_ONCE):
            await together(
                self._objects.create(key, _CONTENT, media_type=MEDIA_TYPE)
                for key in keys[start : start + _AT_ONCE]
            )

    async def remove(self, keys: Sequence[str]) -> None:
        """Remove pointers, older versions included."""
        for start in range(0, len(keys), _AT_ONCE):
            await together(self._objects.purge(key) for key in keys[start : start + _AT_ONCE])

    async def listed(self) -> AsyncIterator[Sequence[str]]:
        """Yield the keys of all pointers there are, a part at a time."""
        for kind in (PATIENT_ID, ACCESSION_NUMBER, STUDY_INSTANCE_UID):
            for digit in "0123456789abcdef":
                yield await self._objects.keys(f"{POINTERS}{kind}/{digit}")

    async def mend_key(self) -> None:
        """Remove a key of the hashes that is damaged, with all pointers that were made by it."""
        try:
            await self._key.known()
        except UnreadableDocumentError:
            await self._objects.purge(POINTERS)
            await self._objects.purge(KEY_KEY)

    async def led_to(self, query: StudyQuery) -> set[Pointer]:
        """Return the studies that every identifier of a query but study_id may lead to."""
        found = await together(
            self._of_any(kind, values)
            for kind, values in (
                (PATIENT_ID, (query.patient_id,)),
                (ACCESSION_NUMBER, (query.accession_number,)),
                (STUDY_INSTANCE_UID, query.study_instance_uids),
            )
            if any(values)
        )
        return set.intersection(*found) if found else set()

    async def _of_any(self, kind: str, values: Sequence[str | None]) -> set[Pointer]:
        secret = await self._key.known()
        if secret is None:
            return set()
        listed = await together(
            self._objects.keys(pointer_folder(secret, kind, value)) for value in values if value
        )
        found = (pointer_of(key) for keys in listed for key in keys)
        return {pointer for pointer in found if pointer is not None}
