"""Key of the hashes by which pointers are found.

It lies in the store, made by whichever gateway comes first. Not the key of `Pseudonyms`: that one
is each process's own unless it is set, and may be changed for telemetry's sake, after which no
pointer would be found. Who may read this key may read the entries as well, which have the values
themselves; it protects them from those who see keys only.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from gateway.schemas.stored_document import StoredDocument
from gateway.search.keys import KEY_KEY
from gateway.storage.documents import create_document, read_or_none

if TYPE_CHECKING:
    from gateway.storage.protocol import ObjectStore

_REMEMBERED_S = 60.0


class HashKeyDocument(StoredDocument):
    """The key, as it is stored."""

    schema_: Literal["radstream.index-key/1"] = Field("radstream.index-key/1", alias="schema")
    key: str = Field(description="64 hexadecimal digits.", pattern="^[0-9a-f]{64}$")


class HashKey:
    """Key of one store; looked at anew each minute, should the index be made anew."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._key: bytes | None = None
        self._read_at = 0.0

    async def get(self) -> bytes:
        """Return the key; made if there is none.

        Raises
        ------
        UnreadableDocumentError
        """
        while (key := await self.known()) is None:
            new = HashKeyDocument(key=secrets.token_hex(32))
            await create_document(self._objects, KEY_KEY, new)
        return key

    async def known(self) -> bytes | None:
        """Return the key; None if there is none, and hence no pointer.

        Raises
        ------
        UnreadableDocumentError
        """
        if self._key is None or time.monotonic() - self._read_at > _REMEMBERED_S:
            stored = await read_or_none(self._objects, HashKeyDocument, KEY_KEY)
            self._key = None if stored is None else bytes.fromhex(stored.key)
            self._read_at = time.monotonic()
        return self._key
