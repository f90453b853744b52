"""Quota of one tenant: studies at once, and studies in a minute.

Whoever waits at a connection for a study is refused beyond it. Instances over DICOM and STOW-RS
wait, as they do for their places, so that hundreds of one study are slowed down and none fails.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.errors import QuotaExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.observability.metrics import Metrics
    from gateway.schemas.routing import Quota

_MINUTE_S = 60.0
_A_PLACE_S = 1


class TenantQuota:
    """Studies of a tenant that this gateway takes; used from one event loop.

    Parameters
    ----------
    tenant
        Name of the tenant.
    limits
        Tells the limits of now; None where there are none.
    metrics
        Counts what is refused.
    clock
        Tells the time.
    """

    def __init__(
        self,
        tenant: str,
        limits: Callable[[], Quota | None],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tenant = tenant
        self._limits = limits
        self._refused = metrics.admission.quota_refused
        self._clock = clock
        self._at_once = 0
        self._used = 0.0  # of a minute's studies; it runs off with time
        self._seen = clock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Yield a context in which the tenant has one more study at work.

        Raises
        ------
        QuotaExceededError
        """
        limits, short_s = self._limits(), self._short_s()
        if limits is not None:
            most = limits.studies_at_once
            if most is not None and self._at_once >= most:
                raise self._refuse("studies_at_once", most, _A_PLACE_S)
            if short_s > 0:
                most = limits.studies_per_minute or 0
                raise self._refuse("studies_per_minute", most, math.ceil(short_s))
        self._used += 1
        self._at_once += 1
        try:
            yield
        finally:
            self._at_once -= 1

    async def wait(self) -> None:
        """Return once one more study fits into the minute; each waits for those before it."""
        short_s = self._short_s()
        self._used += 1
        try:
            if short_s > 0:
                await asyncio.sleep(short_s)
        except asyncio.CancelledError:
            self._used -= 1
            raise

    def _short_s(self) -> float:
        """Return the seconds until there is room for one more study; 0 or less where there is."""
        limits, now = self._limits(), self._clock()
        passed_s, self._seen = now - self._seen, now
        if limits is None or limits.studies_per_minute is None:
            self._used = 0.0
            return 0.0
        study_s = _MINUTE_S / limits.studies_per_minute
        self._used = max(0.0, self._used - passed_s / study_s)
        return (self._used + 1 - limits.studies_per_minute) * study_s

    def _refuse(self, quota: str, limit: int, retry_after_s: int) -> QuotaExceededError:
        self._refused.labels(self._tenant, quota).inc()
        return QuotaExceededError(self._tenant, quota, limit, retry_after_s)
