"""The file of API keys: read whole, written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.services.api_keys import KeyDocument, KeyFileError, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_MOST_BYTES = 4 * 2**20


def read_keys(path: Path) -> KeyDocument:
    """The keys that are in the file.

    Raises
    ------
    KeyFileError
        It cannot be read, or is no set of keys.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise KeyFileError(error.strerror or "input/output error") from error
    if len(data) > _MOST_BYTES:
        raise KeyFileError(f"it has more than {_MOST_BYTES} bytes")
    return parse(data)


def change_keys(path: Path, change: Callable[[KeyDocument], KeyDocument]) -> None:
    """Put a changed document in the place of the one that is there, or of none.

    Only its owner can read the new file. Two changes at once follow each other.

    Raises
    ------
    KeyFileError
        The file cannot be read or written, or is no set of keys.
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
            file.write(data + b"\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the folder: the file itself is another one after each change."""
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
