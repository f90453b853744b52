"""An audit trail in memory."""

import json
from typing import Any


class Trail:
    """A sink of audit records that can be looked at."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    async def append(self, lines: bytes) -> None:
        """Take the records of these lines."""
        self.records += map(json.loads, lines.splitlines())
