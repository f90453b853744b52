"""Whether this process should get work."""

from __future__ import annotations


class Health:
    """What only the process itself knows of its readiness."""

    def __init__(self) -> None:
        self.draining = False

    def drain(self) -> None:
        """Say from now on that no new work should come; work in flight goes on."""
        self.draining = True
