"""Protocol of the object store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence


class Reserve(Protocol):
    """Makes room for so many bytes; what it raises ends the read."""

    async def __call__(self, size: int, /) -> None:
        """Return once there is room."""
        ...


@dataclass(frozen=True, slots=True)
class Tagged:
    """An object as it was read.

    Parameters
    ----------
    data
        Its bytes.
    tag
        Another for other bytes; what else it says is the store's own affair.
    """

    data: bytes
    tag: str


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
        """The object's bytes.

        Parameters
        ----------
        key
            Of the object.
        limit_bytes
            The longest object taken; a longer one is not read to its end.
        version_id
            Of S3; None reads the current version, as does a store that keeps one version only.
        reserve
            Told the object's length before its bytes are read, and awaited.

        Raises
        ------
        ObjectNotFoundError
            No object has this key, or not in this version.
        ObjectTooLargeError
            The object is longer than the limit.
        """
        ...

    async def read_tagged(self, key: str, *, limit_bytes: int | None = None) -> Tagged:
        """The object's bytes, and the tag by which `swap` knows them again.

        Raises
        ------
        ObjectNotFoundError
            No object has this key.
        ObjectTooLargeError
            The object is longer than the limit.
        """
        ...

    async def beginning(self, key: str, size: int, *, version_id: str | None = None) -> bytes:
        """Return the object's first bytes, all of a shorter one; no more is read.

        Raises
        ------
        ObjectNotFoundError
        """
        ...

    async def written_at(self, key: str, *, version_id: str | None = None) -> dt.datetime:
        """Return when the object came to lie there, by the store's own clock, in UTC.

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
        """Write the object only if nobody has written or removed it since it was read.

        Of several writers that have read the same state one wins. Bytes that lie there already
        count as written, whoever wrote them: so a swap whose answer was lost on the way may be
        made again, and a writer whose bytes must be told from another's puts something of its own
        in them. One thing stays unknown: where an answer was lost and another writer has swapped
        since, or has removed the object, the first is told that it lost, though its bytes were
        there for a while. Who reads again and merges finds them in what the other wrote.

        Parameters
        ----------
        key
            Of the object.
        data
            Its new bytes.
        tag
            Of the bytes to replace (If-Match); None where there must be none (If-None-Match: *).
        media_type
            Of the new bytes.

        Returns
        -------
        str or None
            The new tag; None if other bytes lie there, or none where some must.
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
            Of keys, or one key that no other begins with.
        past_only
            Leave what is there now, and remove what it replaced, or what was deleted.

        Returns
        -------
        bool
            Whether nothing is left: False where the store keeps older versions and does not let
            them be removed.
        """
        ...

    async def keys(self, prefix: str) -> Sequence[str]:
        """All keys that start with the prefix, in the order of their UTF-8 bytes."""
        ...

    async def folders(self, prefix: str, *, after: str, limit: int) -> Sequence[str]:
        """Names under the prefix, empty or ending in a slash, that a slash and objects follow.

        At most `limit`, beyond `after`, in the order of their keys: "a-b" stands before "a", as
        "a-b/" does before "a/".
        """
        ...
