"""The file of API keys: read whole, written whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.access.api_keys import KeyDocument, KeyFileError, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MOST_BYTES = 4 * 2**20


def read_keys(path: Path) -> KeyDocument:
    """Return the keys that are in the file.

    Raises
    ------
    KeyFileError
        It cannot be read, or is no set of keys.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise KeyFileError(_told(error, path)) from error
    if len(data) > _MOST_BYTES:
        raise KeyFileError(f"it has more than {_MOST_BYTES} bytes")
    return parse(data)


def change_keys(path: Path, change: Callable[[KeyDocument], KeyDocument]) -> None:
    """Put a changed document in the place of the one that is there, or of none.

    The new file has the owner of the one before, or of its folder if there was none, and nobody
    else can read it, unless the group of the one before could. Two changes at once follow each
    other.

    Raises
    ------
    KeyFileError
        The file cannot be read or written, or could not be read by its owner afterwards, or is no
        set of keys.
    """
    try:
        with _locked(path):
            before = read_keys(path) if path.exists() else KeyDocument()
            _replace(path, change(before).model_dump_json(indent=2, exclude_none=True).encode())
    except OSError as error:
        raise KeyFileError(error.strerror or "input/output error") from error


def _replace(path: Path, data: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor, not of a path
            _hand_over(descriptor, path)
            file.write(data + b"\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _hand_over(descriptor: int, path: Path) -> None:
    """Give the new file the owner of the one at the path, or of its folder where there is none.

    The gateway rarely runs as the user who makes keys; what belongs to root alone it cannot read.
    """
    there = path.exists()
    before = (path if there else path.absolute().parent).stat()
    group_reads = there and before.st_mode & stat.S_IRGRP
    os.fchmod(descriptor, 0o600 | group_reads)
    try:
        os.fchown(descriptor, before.st_uid, before.st_gid)
    except PermissionError as error:
        if there and (before.st_uid != os.geteuid() or group_reads):
            raise KeyFileError(
                f"it belongs to {_user(before.st_uid)}, who could not read what "
                f"{_user(os.geteuid())} writes; run the command as that user or as root"
            ) from error


def _told(error: OSError, path: Path) -> str:
    """Return in words what is wrong with the file, and the remedy where there is one."""
    reason = error.strerror or "input/output error"
    if error.errno == errno.ENOENT:
        return f"{reason}; `radstream keys create` makes it"
    if error.errno == errno.EACCES:
        user = _user(os.geteuid())
        return f"{reason}; {user} is to read it: `chown {user} {path}`, or let its group read it"
    return reason


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # as in most containers
        return str(uid)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the folder: the file itself is another one after each change."""
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
