"""Entries of one day as they are stored: lines of JSON, compressed.

The first line is a head. Its revision makes each state of a part another one, though a
study was taken out of it that had just been put in: so a swap never takes an older state for the
one it has read.
"""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import Field, ValidationError

from gateway.schemas.stored_document import StoredDocument
from gateway.search.entries import IndexEntry
from gateway.storage.documents import reason_of, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

MEDIA_TYPE = "application/gzip"
# With fewer entries a hop to a thread takes longer than the work.
_FEW = 100
_ENTRY_BYTES = 100  # of one that is compressed
_LEVEL = 4  # of a day's entries a fifth remains; a higher one saves little and takes far longer


class PartHead(StoredDocument):
    """First line of a part of a day, which says what the lines after it are."""

    schema_: Literal["radstream.index/1"] = Field("radstream.index/1", alias="schema")
    revision: int = 0
    is_full: bool = False


@dataclass(frozen=True, slots=True)
class DayFile:
    """Entries of an object, by study_id.

    Parameters
    ----------
    revision, is_full
        Of a part: the number of its states before, and whether the next part takes what is new.
    """

    entries: dict[str, IndexEntry] = field(default_factory=dict)
    revision: int = 0
    is_full: bool = False

    def data(self) -> bytes:
        """Return the object's bytes: the same for the same entries."""
        head = PartHead(revision=self.revision, is_full=self.is_full)
        entries = (self.entries[name] for name in sorted(self.entries))
        lines = (
            entry.model_dump_json(exclude_none=True, exclude_defaults=True) for entry in entries
        )
        text = "\n".join([head.model_dump_json(by_alias=True), *lines])
        return gzip.compress(text.encode(), _LEVEL, mtime=0)

    @classmethod
    def of(cls, key: str, data: bytes) -> DayFile:
        """Return what an object holds.

        Raises
        ------
        UnreadableDocumentError
        """
        try:
            head, *lines = gzip.decompress(data).split(b"\n")
            found = PartHead.model_validate_json(head)
            entries = merged(map(IndexEntry.model_validate_json, lines))
            return cls(entries, found.revision, is_full=found.is_full)
        except ValidationError as error:
            raise unreadable(key, reason_of(error)) from error
        except (OSError, EOFError, ValueError) as error:
            raise unreadable(key, "it is not a compressed file") from error


def merged(*groups: Iterable[IndexEntry]) -> dict[str, IndexEntry]:
    """Return the entries by study_id: of each study the one of its latest document."""
    latest: dict[str, IndexEntry] = {}
    for group in groups:
        for entry in group:
            known = latest.get(entry.study_id)
            if known is None or known.changed_at <= entry.changed_at:
                latest[entry.study_id] = entry
    return latest


async def read_day_file(key: str, data: bytes) -> DayFile:
    """Return what an object holds; see `DayFile.of`."""
    return await off_loop(len(data) // _ENTRY_BYTES, partial(DayFile.of, key, data))


async def off_loop(entries: int, work: Callable[[], T]) -> T:
    """Return the result of work on so many entries, done on a thread where they are many."""
    return work() if entries < _FEW else await asyncio.to_thread(work)
