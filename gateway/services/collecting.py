"""What keeps a drop folder going beside the requests: deliveries of files, and the sweep."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, NoReturn, Protocol

import structlog

from gateway.errors import RadStreamError
from gateway.services.audit import GATEWAY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.services.audit import Audit
    from gateway.services.pairing import Pairing

log = structlog.get_logger()

_LONGEST_PAUSE_S = 30.0


async def collect(
    keys: AsyncIterator[str], pairing: Pairing, audit: Audit, *, at_once: int
) -> None:
    """Deliver every key, so many at once, until each is done: nobody else repeats a delivery."""
    turns = asyncio.Semaphore(at_once)
    async with asyncio.TaskGroup() as group:
        async for key in keys:
            group.create_task(_deliver(key, pairing, audit, turns))


async def _deliver(key: str, pairing: Pairing, audit: Audit, turns: asyncio.Semaphore) -> None:
    pause_s = 0.5
    while True:
        try:
            async with turns, audit.of_work("drop folder: deliver", GATEWAY):
                await pairing.deliver(key)
        except RadStreamError as error:
            log.warning("dropfolder.postponed", error=type(error).__name__)
        except Exception:
            log.exception("dropfolder.unexpected_error")
            return
        else:
            return
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class Sweeping(Protocol):
    """What is looked after now and then."""

    async def sweep(self) -> None:
        """Look after it."""
        ...


async def sweep_for_ever(swept: Sweeping, audit: Audit, every_s: float) -> NoReturn:
    """Sweep about every so many seconds; gateways that started together drift apart."""
    while True:
        await asyncio.sleep(every_s * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
        try:
            async with audit.of_work(f"sweep: {type(swept).__name__.lower()}", GATEWAY):
                await swept.sweep()
        except RadStreamError as error:
            log.warning("sweep.failed", of=type(swept).__name__, error=type(error).__name__)
        except Exception:
            log.exception("sweep.failed", of=type(swept).__name__)
