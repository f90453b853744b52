"""Periodic work beside the requests."""

from __future__ import annotations

import asyncio
import random
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn, Protocol

import structlog

from gateway.audit.trail import GATEWAY
from gateway.errors import RadStreamError, log_fields

if TYPE_CHECKING:
    from gateway.audit.trail import Audit

log = structlog.get_logger()


class Sweep(StrEnum):
    """Names of the sweeps in logs and the audit trail."""

    DELETIONS = "deletions"
    DROP_FOLDER = "drop folder"
    PARKED = "parked"
    PROBES = "probes"
    RETENTION = "retention"


class Sweeping(Protocol):
    """What is looked after now and then."""

    async def sweep(self) -> None:
        """Look after it."""
        ...


async def sweep_for_ever(name: Sweep, swept: Sweeping, audit: Audit, every_s: float) -> NoReturn:
    """Sweep about every so many seconds; gateways that started together drift apart."""
    while True:
        await asyncio.sleep(every_s * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
        try:
            async with audit.of_work(f"sweep: {name}", GATEWAY):
                await swept.sweep()
        except RadStreamError as error:
            log.warning("sweep.failed", of=name, **log_fields(error))
        except Exception:
            log.exception("sweep.failed", of=name)
