"""Studies whose documents this gateway has changed, and whose entries it has yet to write."""

from __future__ import annotations

import asyncio
import time


class ChangedStudies:
    """Ids of studies, each once however often it changes, with the time of its first change."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._any = asyncio.Event()

    def note(self, study_id: str, since: float | None = None) -> None:
        """Note a study; `since` is by `time.monotonic`, and now unless it is given."""
        self._since.setdefault(study_id, time.monotonic() if since is None else since)
        self._any.set()

    def wake(self) -> None:
        """End a wait though no study was noted."""
        self._any.set()

    def take(self) -> dict[str, float]:
        """Return all studies, with their times; none is noted after that."""
        taken, self._since = self._since, {}
        self._any.clear()
        return taken

    async def wait(self) -> None:
        """Wait until there is any, or whoever waits is woken."""
        await self._any.wait()
