"""Copies of the files of an audit trail, to which gateways append meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from gateway.backup.files import CopiedFiles, Files

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK_BYTES = 1 << 16


def bring_audit_trail(folder: Path, copy: Path) -> int:
    """Copy the files of a trail, each to the end of a line; return how many cannot be read."""
    files = CopiedFiles(Files(folder), Files(copy))
    files.make_folder("")
    files.bring_all("")
    for key in files.copy.keys(""):
        _cut(copy / key)
    return len(files.unreadable)


def _cut(path: Path) -> None:
    """Cut the line off that was being written when a file was copied."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK_BYTES)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        file.truncate(end)
