"""Lines in files that only grow: a new one when the last is full, was removed, or is of yesterday.

Not `logging.handlers.RotatingFileHandler`: it renames files under their readers, forces nothing to
disk, and swallows the errors of a full disk.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gateway.storage.append_only_file import AppendedFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class RollingFile:
    """Files of one process in a folder that several may share.

    Parameters
    ----------
    folder
        Folder of the files, made when the first line comes.
    name
        Name of a file, by the time (UTC) it was begun: a pattern of `strftime`. Random digits and
        ``.jsonl`` follow.
    file_bytes
        Size from which a new file is begun.
    daily
        True begins a new file each day (UTC) as well.
    prepare
        Function called before a file is begun, to make the folder or room in it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        file_bytes: int,
        prepare: Callable[[], None],
        daily: bool = False,
    ) -> None:
        self._folder = folder
        self._name = name
        self._file_bytes = file_bytes
        self._prepare = prepare
        self._daily = daily
        self._begun = dt.datetime.now(dt.UTC)
        self._file: AppendedFile | None = None
        # Its own thread: a write whose caller has gone still ends before the next begins.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rolling-file")

    async def append(self, lines: bytes) -> None:
        """Write the lines, and return once they are on disk.

        Raises
        ------
        OSError
            None of them is on disk.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._append, lines)

    async def close(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _append(self, lines: bytes) -> None:
        now = dt.datetime.now(dt.UTC)
        if self._file is not None and self._is_over(self._file, now):
            self._close()
        if self._file is None:
            self._prepare()
            name = f"{now.strftime(self._name)}-{secrets.token_hex(4)}.jsonl"
            self._file, self._begun = AppendedFile(self._folder / name), now
        self._file.append(lines)

    def _is_over(self, file: AppendedFile, now: dt.datetime) -> bool:
        if self._daily and now.date() != self._begun.date():
            return True
        return file.size >= self._file_bytes or file.removed

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
