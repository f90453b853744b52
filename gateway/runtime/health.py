"""The health of this process: its readiness for work, and the failure of a part."""

from __future__ import annotations


class Health:
    """The part of the process's state that only the process itself knows."""

    def __init__(self) -> None:
        self.draining = False
        self.failed: str | None = None
        self.start_error: Exception | None = None

    def drain(self) -> None:
        """Turn readiness off for good: no new work should come; work in flight goes on."""
        self.draining = True

    def fail(self, part: str) -> None:
        """Record that a part has died and that only a restart brings it back."""
        self.failed = part
