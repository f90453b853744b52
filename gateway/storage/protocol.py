"""The protocol of the object store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence


class Reserve(Protocol):
    """Reservation of so many bytes; an error of it ends the read."""

    async def __call__(self, size: int, /) -> None:
        """Wait until there is room."""
        ...


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object as it was read.

    Parameters
    ----------
    data
        Bytes of the object.
    tag
        Opaque tag of the store, another one for other bytes.
    written_at
        Time of its writing, by the store's own clock; None where the store does not tell it beside
        the bytes.
    version_id
        Version in S3; None where none are kept.
    """

    data: bytes
    tag: str
    written_at: dt.datetime | None = field(default=None, compare=False)
    version_id: str | None = field(default=None, compare=False)


class ObjectStore(Protocol):
    """Objects under keys, as S3 has them: whole reads, atomic writes, lexicographic listing.

    Every method raises `StoreUnavailableError` when the store does not answer and
    `InvalidKeyError` for a key it cannot hold.
    """

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        """Return the object's bytes.

        Parameters
        ----------
        key
            Key of the object.
        limit_bytes
            Length of the longest object taken; a longer one is not read to its end.
        version_id
            Version in S3; None reads the current one, as does a store without versions.
        reserve
            Function awaited with the object's length before its bytes are read.

        Raises
        ------
        ObjectNotFoundError
            No object has this key, or not in this version.
        ObjectTooLargeError
            The object is longer than the limit.
        """
        ...

    async def read_tagged(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> Tagged:
        """Return the object's bytes, and the tag by which `swap` knows them again; see `read`."""
        ...

    async def read_changed(
        self, key: str, *, tag: str | None, limit_bytes: int | None = None
    ) -> Tagged | None:
        """Return the object unless it has this tag (If-None-Match); see `read_tagged`."""
        ...

    async def beginning(self, key: str, size: int, *, version_id: str | None = None) -> bytes:
        """Return the object's first bytes, all of a shorter one; no more is read.

        Raises
        ------
        ObjectNotFoundError
        """
        ...

    async def written_at(self, key: str, *, version_id: str | None = None) -> dt.datetime:
        """Return the time of the object's writing, by the store's own clock, in UTC.

        Raises
        ------
        ObjectNotFoundError
        """
        ...

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        """Write the object unless its key is taken (If-None-Match: *); return False if it is."""
        ...

    async def replace(self, key: str, data: bytes | memoryview, *, media_type: str) -> None:
        """Write the object, over whatever the key held."""
        ...

    async def swap(
        self, key: str, data: bytes | memoryview, *, tag: str | None, media_type: str
    ) -> str | None:
        """Write the object only if no other writer has changed or removed it since it was read.

        Of several writers that have read the same state one wins. Equal bytes that lie there
        already count as written, by any writer: so a swap whose answer was lost may be repeated,
        and a writer whose bytes must be told from another's puts a token of its own in them. One
        case stays unknown: where an answer was lost and another writer has swapped since, or has
        removed the object, the first loses, though its bytes were there for a while. A writer that
        reads again and merges finds them in the other's bytes.

        Parameters
        ----------
        key
            Key of the object.
        data
            New bytes.
        tag
            Tag of the bytes to replace (If-Match); None where there must be none
            (If-None-Match: *).
        media_type
            Media type of the new bytes.

        Returns
        -------
        str or None
            New tag; None if other bytes lie there, or none where some must.
        """
        ...

    async def delete(self, key: str, *, tag: str | None = None) -> None:
        """Remove the object, if there is one; with a tag only while it has that tag (If-Match)."""
        ...

    async def purge(self, prefix: str, *, past_only: bool = False) -> bool:
        """Remove every object whose key starts with the prefix, for good.

        Parameters
        ----------
        prefix
            Prefix of keys, or one key that no other begins with.
        past_only
            True leaves current versions, and removes replaced and deleted ones.

        Returns
        -------
        bool
            True if no version is left; False where the store keeps older ones and does not let
            them be removed.
        """
        ...

    async def keys(self, prefix: str) -> Sequence[str]:
        """Return all keys that start with the prefix, in the order of their UTF-8 bytes."""
        ...

    async def folders(self, prefix: str, *, after: str, limit: int) -> Sequence[str]:
        """Return names under the prefix, empty or ending in "/", that a slash and objects follow.

        At most `limit`, beyond `after`, in the order of their keys: "a-b" stands before "a", as
        "a-b/" does before "a/".
        """
        ...
