"""The files of a watched folder that were taken, in the order they came, beyond a restart.

An SQLite database: it survives the end of a process at any moment, and several gateways on one
folder may share it. It outlives studies, and so names files by a hash. Nothing hangs on it but work
that is done once more: where it is lost or damaged, every file is looked at again.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import structlog

from gateway.dropfolder.watched_folder.mounts import file_system
from gateway.dropfolder.watched_folder.scanning import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")
File = tuple[str, Signature]

log = structlog.get_logger()

LEDGER: Final = ".dropfolder/ledger.sqlite3"
"""Path of the ledger in a store's folder, where no object's name begins with a dot."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS dropped_files (
    name BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    rewritten_ns INTEGER NOT NULL,
    arrival INTEGER NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0,
    missing_since REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS dropped_arrivals ON dropped_files (arrival);
CREATE TABLE IF NOT EXISTS dropped_contents (
    name BLOB PRIMARY KEY,
    digest BLOB NOT NULL
) WITHOUT ROWID;
"""
# A file that has come is last in the line, unless it stood there already as it is now.
_ARRIVE: Final = """
INSERT INTO dropped_files (name, size, mtime_ns, inode, rewritten_ns, arrival)
VALUES (?, ?, ?, ?, ?, (SELECT ifnull(max(arrival), 0) + 1 FROM dropped_files))
ON CONFLICT (name) DO UPDATE SET
    size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
    rewritten_ns = excluded.rewritten_ns, arrival = excluded.arrival, taken = 0
WHERE (size, mtime_ns, inode, rewritten_ns)
    != (excluded.size, excluded.mtime_ns, excluded.inode, excluded.rewritten_ns)
"""
_SAME: Final = "name = ? AND size = ? AND mtime_ns = ? AND inode = ? AND rewritten_ns = ?"
_WAIT_S: Final = 5.0
# A file server may be away for days, and its files are the same when it is back.
_FORGET_S: Final = 7 * 86400.0


class Ledger:
    """Files by key, each with its signature when it came and whether it was taken since.

    Trouble with the disk is logged once and never raised: then every file counts as new.

    Parameters
    ----------
    path
        Of the database; None keeps it in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()  # of the folder's threads
        self._failed = False
        self._database = self._open()

    def taken(self) -> dict[bytes, Signature]:
        """Return every file that was taken, by its name here, as it was then."""

        def read(database: sqlite3.Connection) -> dict[bytes, Signature]:
            rows = database.execute(
                "SELECT name, size, mtime_ns, inode, rewritten_ns FROM dropped_files WHERE taken"
            )
            return {name: Signature(*signature) for name, *signature in rows}

        return self._run(read, {})

    def arrive(self, files: Sequence[File]) -> list[File]:
        """Note that these files came, in this order.

        Returns
        -------
        list of tuple
            Those of them that were not taken, in the order in which they first came.
        """

        def note(database: sqlite3.Connection) -> list[File]:
            database.executemany(_ARRIVE, [(name_of(key), *signature) for key, signature in files])
            database.executemany(
                "UPDATE dropped_files SET missing_since = NULL WHERE name = ?",
                [(name_of(key),) for key, _ in files],
            )
            places: dict[File, int] = {}
            for file in files:
                arrival, taken = database.execute(
                    "SELECT arrival, taken FROM dropped_files WHERE name = ?", (name_of(file[0]),)
                ).fetchone()
                if not taken:
                    places[file] = arrival
            return sorted(places, key=places.__getitem__)

        return self._run(note, list(files))

    def take(self, files: Iterable[File]) -> None:
        """Note that these files were taken, unless they have changed since they came."""
        self._run(
            lambda database: database.executemany(
                f"UPDATE dropped_files SET taken = 1 WHERE {_SAME}",  # noqa: S608 - a constant
                [(name_of(key), *signature) for key, signature in files],
            ),
            None,
        )

    def were_taken(self, files: Iterable[File]) -> bool:
        """Return True if all of these were taken, by whichever gateway."""
        query = f"SELECT 1 FROM dropped_files WHERE taken AND {_SAME}"  # noqa: S608 - a constant
        return self._run(
            lambda database: all(
                database.execute(query, (name_of(key), *signature)).fetchone()
                for key, signature in files
            ),
            False,
        )

    def miss(self, names: Iterable[bytes]) -> None:
        """Note that these files are gone; what has been gone for a week is forgotten."""
        now = time.time()

        def note(database: sqlite3.Connection) -> None:
            database.executemany(
                "UPDATE dropped_files SET missing_since = ? "
                "WHERE name = ? AND missing_since IS NULL",
                [(now, name) for name in names],
            )
            forgotten = database.execute(
                "DELETE FROM dropped_files WHERE missing_since < ?", (now - _FORGET_S,)
            )
            if forgotten.rowcount:
                database.execute(
                    "DELETE FROM dropped_contents "
                    "WHERE name NOT IN (SELECT name FROM dropped_files)"
                )

        self._run(note, None)

    def contents(self) -> dict[bytes, bytes]:
        """Return a hash of the bytes that were noted to be in each file, by its name here."""
        return self._run(
            lambda database: dict(database.execute("SELECT name, digest FROM dropped_contents")), {}
        )

    def note_contents(self, digests: Mapping[bytes, bytes]) -> None:
        """Note a hash of the bytes that are in each of these files."""
        if not digests:
            return
        self._run(
            lambda database: database.executemany(
                "INSERT OR REPLACE INTO dropped_contents (name, digest) VALUES (?, ?)",
                digests.items(),
            ),
            None,
        )

    def close(self) -> None:
        """Close the database; what was noted stays."""
        with self._lock, suppress(sqlite3.Error):
            if self._database is not None:
                self._database.close()
                self._database = None

    def _run(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Return the result of the work, in a transaction of its own."""
        with self._lock:
            try:
                if self._database is None:
                    return otherwise
                with self._database:
                    return work(self._database)
            except sqlite3.Error as error:
                self._fail(error)
                return otherwise

    def _fail(self, error: sqlite3.Error) -> None:
        if not self._failed:
            self._failed = True
            log.warning("dropfolder.ledger_failed", error=_error_name(error))
        if _is_damaged(error) and self._database is not None:
            self._database.close()
            self._remove()
            self._database = self._open()

    def _open(self) -> sqlite3.Connection | None:
        for _ in range(2):
            try:
                return self._connect()
            except (sqlite3.Error, OSError) as error:
                log.warning("dropfolder.ledger_failed", error=_error_name(error))
                if not _is_damaged(error):  # such as a disk that is full
                    return None
                self._remove()
        return None

    def _connect(self) -> sqlite3.Connection:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
        database = sqlite3.connect(
            self._path or ":memory:", timeout=_WAIT_S, check_same_thread=False
        )
        # The log beside it needs memory that processes share, which no file server gives.
        remote = self._path is not None and file_system(self._path.parent.resolve()).remote
        database.execute(f"PRAGMA journal_mode = {'DELETE' if remote else 'WAL'}")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
        return database

    def _remove(self) -> None:
        if self._path is None:
            return
        for ending in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)


def name_of(key: str) -> bytes:
    """Return the name of a file in the ledger."""
    return hashlib.blake2b(os.fsencode(key), digest_size=16).digest()


def _error_name(error: Exception) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)


def _is_damaged(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
