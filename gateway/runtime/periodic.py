"""Work that is repeated for as long as the gateway runs.

Not a scheduler such as APScheduler: there is no time of day and no list of jobs, only a pause.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from gateway.errors import RadStreamError, log_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger()


def about(seconds: float) -> float:
    """Return the seconds give or take a quarter: gateways that started together drift apart."""
    return seconds * random.uniform(0.75, 1.25)  # noqa: S311 - jitter


async def repeat(
    work: Callable[[], Awaitable[object]], every_s: float, *, failed: str, **facts: Any
) -> NoReturn:
    """Do the work now and about every so many seconds, whatever it meets.

    Parameters
    ----------
    work
        Done to its end before the wait begins.
    every_s
        Seconds between an end and the next begin, give or take a quarter.
    failed, facts
        Name and fields of the log event that tells of a failure.
    """
    while True:
        try:
            await work()
        except RadStreamError as error:
            log.warning(failed, **facts, **log_fields(error))
        except Exception:
            log.exception(failed, **facts)
        await asyncio.sleep(about(every_s))
