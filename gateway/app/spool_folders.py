"""The spool of each process of a gateway: the first has the folder, the others one in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.settings import Settings

_OF_WORKER = re.compile(r"worker-(\d+)")


def spool_of(folder: Path, number: int) -> Path:
    """Return the folder of a process's spool.

    Parameters
    ----------
    folder
        Folder of the settings.
    number
        Of the process, from 1.
    """
    return folder if number == 1 else folder / f"worker-{number}"


def left_spools(settings: Settings) -> Sequence[Path]:
    """Return the folders of processes that this gateway has no more, for its first to take over."""
    return [
        folder
        for folder in sorted(settings.telemetry.spool_folder.glob("worker-*"))
        if (named := _OF_WORKER.fullmatch(folder.name)) and int(named[1]) > settings.http.workers
    ]
