"""Sinks of the audit trail: files that only grow, or objects that are written once."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import TYPE_CHECKING, Protocol

from gateway.errors import AuditUnavailableError, StoreError
from gateway.storage.layout import AUDIT
from gateway.storage.rolling_file import RollingFile

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.storage.protocol import ObjectStore


class AuditSink(Protocol):
    """An append-only sink of the audit trail."""

    async def append(self, lines: bytes) -> None:
        """Return when the lines, each ending in a line feed, are safe there.

        Raises
        ------
        AuditUnavailableError
            They are not known to be.
        """
        ...


class AuditFiles:
    """Records as lines of files in a folder, a new one each day (UTC) and when one is full.

    A file is opened for appending and forced to disk with each write. None is ever removed.
    Each process writes files of its own, so that several may share the folder.

    Parameters
    ----------
    folder
        Made with the first record; only its owner can enter it.
    file_bytes
        Size from which a new file is begun.
    """

    def __init__(self, folder: Path, *, file_bytes: int) -> None:
        self._folder = folder.absolute()
        self._file = RollingFile(
            self._folder,
            "audit-%Y-%m-%d-%H%M%S.%f",
            file_bytes=file_bytes,
            prepare=self._make_folder,
            daily=True,
        )
        self.close = self._file.close

    async def append(self, lines: bytes) -> None:
        """See `AuditSink.append`."""
        try:
            await self._file.append(lines)
        except OSError as error:
            raise AuditUnavailableError(error.strerror or "input/output error") from error

    def _make_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)


class AuditObjects:
    """Records as objects, each with what came together, written once and never again.

    Parameters
    ----------
    objects
        The store, best with Object Lock on it.
    instance
        Names the gateway in the keys, ``audit/{date}/{time}-{instance}-{random}.jsonl``.
    """

    def __init__(self, objects: ObjectStore, *, instance: str) -> None:
        self._objects = objects
        self._instance = instance

    async def append(self, lines: bytes) -> None:
        """See `AuditSink.append`."""
        now = dt.datetime.now(dt.UTC)
        name = f"{now.strftime('%H%M%S.%fZ')}-{self._instance}-{secrets.token_hex(4)}.jsonl"
        key = f"{AUDIT}{now.strftime('%Y-%m-%d')}/{name}"
        try:
            created = await self._objects.create(key, lines, media_type="application/x-ndjson")
        except StoreError as error:
            raise AuditUnavailableError(str(error)) from error
        if not created:
            raise AuditUnavailableError("an object of this key is there")
