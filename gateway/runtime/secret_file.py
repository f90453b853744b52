"""A random secret in a file of its owner's, the same at every start."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path


def kept_secret(path: Path) -> str:
    """Return the secret in the file, which is made with 64 random hexadecimal digits if need be.

    The first process to make it wins: the file appears whole or not at all.

    Raises
    ------
    OSError
        It can be neither read nor made.
    """
    with suppress(FileNotFoundError):
        return path.read_text()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):
            os.link(made, path)
    finally:
        Path(made).unlink()
    return path.read_text()
