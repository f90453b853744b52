"""Copies of what is kept of dropped files: the ledger, parked items, marks and waiting halves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gateway.dropfolder.waiting import is_mark_of
from gateway.dropfolder.watched_folder.ledger import LEDGER
from gateway.schemas.parked import ParkedItem
from gateway.storage.layout import BINDINGS, PARKED, WAITING
from gateway.work.parked import pair_beginning

if TYPE_CHECKING:
    from gateway.backup.files import CopiedFiles


# SQLite waits so long for another process that has the ledger to itself.
_LOCKED_S = 30.0
_PRIMARY = 0xFF  # of an error code; the rest says more of it
_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


def bring_ledger(files: CopiedFiles) -> None:
    """Copy the ledger of the watched folder, if there is one, by SQLite's own backup.

    It is to be older than all that it speaks of: a file that it names as taken is looked at by no
    gateway again. Of a damaged one there is no copy: then every file is looked at again. One that
    the disk does not give, or that stays locked, counts as unreadable.
    """
    source = files.store.path(LEDGER)
    if not source.is_file():
        return
    uri = f"{source.absolute().as_uri()}?mode=rw"
    files.write(LEDGER, b"")  # SQLite would let other users read it
    try:
        with (
            # Not read-only: SQLite then reads no log that another process has yet to fold in.
            closing(sqlite3.connect(uri, uri=True, timeout=_LOCKED_S)) as ledger,
            closing(sqlite3.connect(files.copy.path(LEDGER))) as copied,
        ):
            ledger.backup(copied, progress=_end_if_locked)
    except sqlite3.DatabaseError as error:
        files.remove(LEDGER)
        if error.sqlite_errorcode & _PRIMARY not in _DAMAGED:
            files.unreadable.add(LEDGER)


def _end_if_locked(status: int, remaining: int, total: int) -> None:
    """Raise once SQLite has waited: its backup would begin again without end."""
    del remaining, total
    if status & _PRIMARY in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = status
        raise error


def bring_dropped_files(files: CopiedFiles) -> None:
    """Copy parked items of dropped files, with their marks, and then what waits.

    Those that a study's document names came with the study, and so did those of work.
    """
    for key in files.store.keys(PARKED):
        if not files.copy.has(key):
            _bring_item(files, key)
    files.bring_all(WAITING)
    files.bring_all(BINDINGS)


def _bring_item(files: CopiedFiles, key: str) -> None:
    """Copy an item and its mark, unless the file is taken meanwhile or just being parked.

    The mark is written after the item and goes after it: an item without its mark would stay for
    ever. A file that is being parked will be so again after a restore, as the ledger is older.
    """
    while (data := files.store.read(key)) is not None and _is_of_dropped_file(data):
        files.bring(key, anew=True)
        is_marked = _bring_mark(files, key)
        if files.store.read(key) == files.copy.read(key) == data:
            if not (is_marked or _item(data) is None):
                files.remove(key)
            return
        files.remove(key)


def _bring_mark(files: CopiedFiles, key: str) -> bool:
    """Copy what waits and is marked of an item's pair; return whether the item's mark is there."""
    parked_id = key.removeprefix(PARKED).removesuffix(".json")
    pair = pair_beginning(parked_id)
    brought = [mark for mark in files.store.keys(f"{WAITING}{pair}") if files.bring(mark)]
    return any(is_mark_of(mark, parked_id) for mark in brought)


def _is_of_dropped_file(data: bytes) -> bool:
    """Return True for the item of a dropped file, and for one that cannot be read."""
    item = _item(data)
    return item is None or item.half is not None


def _item(data: bytes) -> ParkedItem | None:
    try:
        return ParkedItem.model_validate_json(data)
    except ValidationError:
        return None
