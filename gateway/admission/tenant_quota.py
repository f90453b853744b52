"""Quota of one tenant: studies at once, and studies and bytes in a minute and in a day.

Whoever waits at a connection for a study is refused beyond it. Instances over DICOM and STOW-RS
wait, as they do for their places, so that hundreds of one study are slowed down and none fails; a
day's quota is not waited for. Dropped files stay where they are.

Of what is of the moment, several gateways have a share each. Days are counted together.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from gateway.errors import QuotaExceededError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.admission.day_counts import TenantDay
    from gateway.observability.metrics import Metrics
    from gateway.schemas.routing import Quota

_MINUTE_S = 60.0
_A_PLACE_S = 1


@dataclass(slots=True)
class _Minute:
    """An amount of a minute's number that is used; it runs off with time."""

    seen: float
    used: float = 0.0

    def short_s(self, limit: float | None, now: float) -> float:
        """Return the seconds until there is room for one more; 0 or less where there is."""
        passed_s, self.seen = now - self.seen, now
        if limit is None:
            self.used = 0.0
            return 0.0
        one_s = _MINUTE_S / limit
        self.used = max(0.0, self.used - passed_s / one_s)
        return (self.used + 1 - limit) * one_s


class _Excess(NamedTuple):
    """A quota that is used up, and the seconds until it has room."""

    quota: str
    limit: int
    short_s: float


class TenantQuota:
    """Limits of what a tenant sends to this gateway; used from one event loop.

    Parameters
    ----------
    tenant
        Name of the tenant.
    limits
        Tells the limits of now; None where there are none.
    metrics
        Counts what is refused.
    day
        Counts of the day.
    gateways
        Number of gateways that share what is of the moment.
    clock
        Tells the time.
    """

    def __init__(
        self,
        tenant: str,
        limits: Callable[[], Quota | None],
        metrics: Metrics,
        *,
        day: TenantDay,
        gateways: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tenant = tenant
        self._limits = limits
        self._refused = metrics.admission.quota_refused
        self._day = day
        self._gateways = gateways
        self._clock = clock
        self._at_once = 0
        self._studies = _Minute(clock())
        self._bytes = _Minute(clock())

    @contextmanager
    def place(self) -> Iterator[None]:
        """Yield a context in which the tenant has one more study at work.

        Raises
        ------
        QuotaExceededError
        """
        excess = next(iter(self._excesses()), None)
        most = self._limit("studies_at_once")
        if most is not None and self._at_once + 1 > self._share(most):
            excess = _Excess("studies_at_once", most, _A_PLACE_S)
        if excess is not None:
            raise self._refuse(excess)
        self.count(studies=1)
        self._at_once += 1
        try:
            yield
        finally:
            self._at_once -= 1

    async def wait(self) -> None:
        """Return once one more study fits into the minute; each waits for those before it.

        Raises
        ------
        QuotaExceededError
            The day's quota is used up.
        """
        excesses = self._excesses()
        for each in excesses:
            if each.quota in _OF_THE_DAY:
                raise self._refuse(each)
        self.count(studies=1)
        try:
            await asyncio.sleep(max((each.short_s for each in excesses), default=0.0))
        except asyncio.CancelledError:
            self.count(studies=-1)
            raise

    def check(self) -> None:
        """Check whether there is room for what can as well stay where it is.

        Raises
        ------
        QuotaExceededError
        """
        for each in self._excesses():
            raise self._error(each)

    def count(self, *, studies: int = 0, size: int = 0) -> None:
        """Count studies and bytes that the tenant has sent."""
        self._studies.used += studies
        self._bytes.used += size
        self._day.count(studies=studies, size=size)

    async def keep(self, every_s: float) -> NoReturn:
        """Share the day's counts with the other gateways, for ever."""
        while True:
            if self._has_a_day():
                await self._day.add()
            await asyncio.sleep(every_s)

    async def close(self) -> None:
        """Share the last of the day's counts."""
        if self._has_a_day():
            await self._day.add()

    def _has_a_day(self) -> bool:
        return any(self._limit(name) is not None for name in _OF_THE_DAY)

    def _excesses(self) -> list[_Excess]:
        """Return the quotas that are used up, those of studies at once aside."""
        now, found = self._clock(), list[_Excess]()
        for name, minute in (
            ("studies_per_minute", self._studies),
            ("bytes_per_minute", self._bytes),
        ):
            most = self._limit(name)
            short_s = minute.short_s(None if most is None else self._share(most), now)
            if most is not None and short_s > 0:
                found.append(_Excess(name, most, short_s))
        for name, used in zip(_OF_THE_DAY, (self._day.studies, self._day.bytes), strict=True):
            most = self._limit(name)
            if most is not None and used >= most:
                found.append(_Excess(name, most, self._day.left_s()))
        return found

    def _limit(self, quota: str) -> int | None:
        limits = self._limits()
        most: int | None = None if limits is None else getattr(limits, quota)
        return most

    def _share(self, limit: int) -> float:
        return max(1, limit / self._gateways)

    def _refuse(self, excess: _Excess) -> QuotaExceededError:
        self._refused.labels(self._tenant, excess.quota).inc()
        return self._error(excess)

    def _error(self, excess: _Excess) -> QuotaExceededError:
        retry_after_s = math.ceil(excess.short_s)
        return QuotaExceededError(self._tenant, excess.quota, excess.limit, retry_after_s)


_OF_THE_DAY = ("studies_per_day", "bytes_per_day")
