"""One SHA-256 over many files, and that of the program itself."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PACKAGES = ("gateway", "preprocess")
_ROOT = Path(__file__).resolve().parents[2]


def files_sha256(files: Iterable[Path], root: Path) -> str:
    """Return the SHA-256 over a line for each file, sorted: its SHA-256 and its path from `root`.

    Parameters
    ----------
    files
        Files below `root`, in any order.
    """
    lines = []
    for path in files:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(root).as_posix()}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


@functools.cache
def program_sha256() -> str:
    """Return the SHA-256 over the files of the packages `gateway` and `preprocess`, as installed.

    It is the same for a wheel, an image and a checkout of one commit, and another once a file is
    edited. It is computed once a process: what is changed later does not run in it.
    """
    return files_sha256(program_files(_ROOT), _ROOT)


def program_files(root: Path) -> list[Path]:
    """Return the files of the packages below a folder, but bytecode and hidden ones."""
    return [
        path
        for package in _PACKAGES
        for path in (root / package).rglob("*")
        if path.is_file() and not _is_byproduct(path.relative_to(root))
    ]


def _is_byproduct(path: Path) -> bool:
    """Return True for what Python, tools and file managers leave, which no wheel has."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)
