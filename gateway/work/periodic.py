"""Periodic work beside the requests.

Not APScheduler: nothing here has a time of day, is kept, or is missed.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn, Protocol

from gateway.audit.trail import GATEWAY
from gateway.runtime.periodic import about, repeat

if TYPE_CHECKING:
    from gateway.audit.trail import Audit


class Sweep(StrEnum):
    """Names of the sweeps in logs and the audit trail."""

    COMPLETION = "completion"
    DELETIONS = "deletions"
    DROP_FOLDER = "drop folder"
    MONITORING = "monitoring"
    PARKED = "parked"
    PROBES = "probes"
    RETENTION = "retention"


class Sweeping(Protocol):
    """Upkeep that is due at intervals."""

    async def sweep(self) -> None:
        """Do what has become due."""
        ...


async def sweep_for_ever(name: Sweep, swept: Sweeping, audit: Audit, every_s: float) -> NoReturn:
    """Sweep about every so many seconds, for the first time after as many."""

    async def sweep() -> None:
        async with audit.of_work(f"sweep: {name}", GATEWAY):
            await swept.sweep()

    await asyncio.sleep(about(every_s))
    await repeat(sweep, every_s, failed="sweep.failed", of=name)
