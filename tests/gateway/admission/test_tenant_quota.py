"""A tenant is held to its quota: refused at a connection, slowed down in line."""

import asyncio
from contextlib import ExitStack

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.tenant_quota import TenantQuota
from gateway.errors import QuotaExceededError
from gateway.observability.metrics import Metrics
from gateway.schemas.routing import Quota


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def quota_of(clock: Clock, metrics: Metrics | None = None, **limits: int) -> TenantQuota:
    quota = Quota.model_validate({"tenant": "north", **limits}) if limits else None
    metrics = metrics or Metrics(CollectorRegistry())
    return TenantQuota("north", lambda: quota, metrics, clock)


def take(quota: TenantQuota, count: int) -> None:
    for _ in range(count):
        with quota.place():
            pass


def test_as_many_studies_are_at_work_as_the_quota_says():
    metrics = Metrics(CollectorRegistry())
    quota = quota_of(Clock(), metrics, studies_at_once=2)
    with ExitStack() as held:
        held.enter_context(quota.place())
        held.enter_context(quota.place())
        with pytest.raises(QuotaExceededError) as refused, quota.place():
            pass
        assert (refused.value.quota, refused.value.limit) == ("studies_at_once", 2)
    take(quota, 5)
    counted = metrics.admission.quota_refused.labels("north", "studies_at_once")
    assert counted._value.get() == 1


def test_a_minutes_studies_come_at_once_and_then_one_by_one():
    clock = Clock()
    quota = quota_of(clock, studies_per_minute=6)
    take(quota, 6)
    with pytest.raises(QuotaExceededError) as refused:
        take(quota, 1)
    assert (refused.value.quota, refused.value.retry_after_s) == ("studies_per_minute", 10)
    clock.now = 9
    with pytest.raises(QuotaExceededError) as refused:
        take(quota, 1)
    assert refused.value.retry_after_s == 1
    clock.now = 10
    take(quota, 1)
    with pytest.raises(QuotaExceededError):
        take(quota, 1)


def test_studies_from_before_a_quota_do_not_count():
    clock, limits = Clock(), list[Quota]()
    metrics = Metrics(CollectorRegistry())
    quota = TenantQuota("north", lambda: limits[0] if limits else None, metrics, clock)
    take(quota, 100)
    limits.append(Quota(tenant="north", studies_per_minute=2))
    take(quota, 1)


async def test_in_line_each_waits_for_those_before_it():
    quota = quota_of(Clock(), studies_per_minute=6000)
    for _ in range(6000):
        await quota.wait()
    first, second = (asyncio.create_task(quota.wait()) for _ in range(2))
    done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
    assert first in done
    await second


async def test_one_that_gives_up_in_line_takes_nothing():
    clock = Clock()
    quota = quota_of(clock, studies_per_minute=1)
    await quota.wait()
    waiting = asyncio.create_task(quota.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    clock.now = 60
    await quota.wait()
