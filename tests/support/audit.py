"""An audit trail in memory."""

import json
from typing import Any

from gateway.access.callers import Caller, CallerKind
from gateway.audit.trail import Act, Audit
from gateway.schemas.audit import AuditAction, AuditOutcome


class Trail:
    """A sink of audit records that can be looked at."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    async def append(self, lines: bytes) -> None:
        """Take the records of these lines."""
        self.records += map(json.loads, lines.splitlines())


CALLER = Caller("ris", frozenset(), CallerKind.KEY)


async def record(audit: Audit, caller: Caller | None = CALLER) -> None:
    await audit.record(Act(caller=caller), "GET /x", AuditAction.READ, AuditOutcome.SUCCESS)
