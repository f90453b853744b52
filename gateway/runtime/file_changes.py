"""Files that are replaced while they are in use, as a mounted Secret's are.

Not watchfiles: one look a second at a handful of files also sees changes on network file systems,
of which inotify is not told.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

_LOOK_S = 1.0


async def changes(paths: Iterable[Path]) -> AsyncIterator[None]:
    """Yield at once, and each time that one of the files has become another.

    Looked at once a second and through links: Kubernetes exchanges a link above a Secret's files,
    which no watch on the files themselves is told of.
    """
    watched = tuple(paths)
    seen = await asyncio.to_thread(_states, watched)
    yield  # the caller may have read older files before than were seen now
    while True:
        await asyncio.sleep(_LOOK_S)
        now = await asyncio.to_thread(_states, watched)
        if now != seen:
            seen = now
            yield


def _states(paths: tuple[Path, ...]) -> list[tuple[int, int, int, int] | None]:
    return [_state(path) for path in paths]


def _state(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
