"""A tenant is held to its quota: refused at a connection, slowed down in line."""

import asyncio
import datetime as dt
from contextlib import ExitStack
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.day_counts import TenantDay
from gateway.admission.tenant_quota import TenantQuota
from gateway.errors import QuotaExceededError
from gateway.observability.metrics import Metrics
from gateway.schemas.routing import Quota
from gateway.storage.layout import QUOTAS
from tests.support.store import MemoryStore


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def quota_of(clock: Clock, metrics: Metrics | None = None, **limits: int) -> TenantQuota:
    quota = Quota.model_validate({"tenant": "north", **limits}) if limits else None
    metrics = metrics or Metrics(CollectorRegistry())
    return TenantQuota("north", lambda: quota, metrics, day=TenantDay(MemoryStore()), clock=clock)


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
    day = TenantDay(MemoryStore())
    quota = TenantQuota(
        "north", lambda: limits[0] if limits else None, metrics, day=day, clock=clock
    )
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


def refused_by(quota: TenantQuota) -> tuple[str, int]:
    """The quota that is used up, and the time until it has room."""
    with pytest.raises(QuotaExceededError) as refused, quota.place():
        pass
    with pytest.raises(QuotaExceededError) as kept:
        quota.check()
    assert kept.value.quota == refused.value.quota
    return refused.value.quota, refused.value.retry_after_s


def test_bytes_run_off_with_the_minute():
    clock = Clock()
    quota = quota_of(clock, bytes_per_minute=600)
    take(quota, 3)
    quota.count(size=629)
    assert refused_by(quota) == ("bytes_per_minute", 3)
    clock.now += 3
    take(quota, 1)


@pytest.mark.parametrize("name", ["studies_per_day", "bytes_per_day"])
def test_a_day_is_refused_until_it_is_over(name: str):
    noon = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
    limits = Quota.model_validate({"tenant": "north", name: 5})
    metrics = Metrics(CollectorRegistry())
    times = [noon]
    day = TenantDay(MemoryStore(), lambda: times[0])
    quota = TenantQuota("north", lambda: limits, metrics, day=day)
    quota.check()
    quota.count(studies=5, size=5)
    assert refused_by(quota) == (name, 12 * 3600)
    times[0] += dt.timedelta(hours=12)
    take(quota, 1)


async def test_what_waits_in_line_is_refused_for_a_day():
    quota = quota_of(Clock(), studies_per_day=1)
    await quota.wait()
    with pytest.raises(QuotaExceededError):
        await quota.wait()


def test_gateways_have_a_share_each_of_what_is_of_the_moment():
    limits = Quota.model_validate(
        {"tenant": "north", "studies_per_minute": 9, "studies_at_once": 4}
    )
    clock, metrics = Clock(), Metrics(CollectorRegistry())
    quota = TenantQuota(
        *("north", lambda: limits, metrics),
        day=TenantDay(MemoryStore()),
        gateways=3,
        clock=clock,
    )
    with quota.place():
        assert refused_by_place(quota) == "studies_at_once"
    take(quota, 2)
    assert refused_by(quota) == ("studies_per_minute", 20)


def refused_by_place(quota: TenantQuota) -> str:
    with pytest.raises(QuotaExceededError) as refused, quota.place():
        pass
    return refused.value.quota


async def test_a_day_is_kept_only_where_it_has_a_quota():
    objects = MemoryStore()
    for limits in ({"studies_per_minute": 5}, {"studies_per_day": 5}):
        quota = TenantQuota(
            "north",
            partial(Quota.model_validate, {"tenant": "north", **limits}),
            Metrics(CollectorRegistry()),
            day=TenantDay(objects),
        )
        quota.count(studies=1)
        await quota.close()
    [key] = await objects.keys(QUOTAS)
    assert (await objects.read(key)).startswith(b'{"studies":1,"bytes":0,')
