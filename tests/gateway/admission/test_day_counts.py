"""A tenant's day is counted by all gateways together, and by none twice."""

import datetime as dt
from typing import Any

from gateway.admission.day_counts import TenantDay
from gateway.storage.layout import QUOTAS
from tests.support.store import AwayStore, MemoryStore

NOON = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)


class Clock:
    """Tells the time that it is given."""

    now = NOON

    def __call__(self) -> dt.datetime:
        return self.now


async def test_gateways_count_together():
    objects, clock = MemoryStore(), Clock()
    one, other = TenantDay(objects, clock), TenantDay(objects, clock)
    one.count(studies=2, size=20)
    other.count(studies=1, size=5)
    assert (one.studies, other.studies) == (2, 1)
    await one.add()
    await other.add()
    assert (other.studies, other.bytes) == (3, 25)
    await one.add()
    assert (one.studies, one.bytes) == (3, 25)
    again = TenantDay(objects, clock)
    await again.add()
    assert again.studies == 3


async def test_what_comes_meanwhile_is_added_later():
    class Slow(MemoryStore):
        """Has the gateway count while its counts are being added."""

        async def swap(self, *args: Any, **kwargs: Any) -> str | None:
            if not meanwhile:
                meanwhile.append(True)
                one.count(studies=1)
                await other.add()
            return await super().swap(*args, **kwargs)

    meanwhile = list[bool]()
    objects, clock = Slow(), Clock()
    one, other = TenantDay(objects, clock), TenantDay(objects, clock)
    one.count(studies=1)
    other.count(studies=1)
    await one.add()
    await one.add()
    assert one.studies == 3


async def test_a_store_that_is_away_costs_nothing():
    objects = AwayStore()
    day = TenantDay(objects, Clock())
    day.count(studies=1)
    objects.is_away = True
    await day.add()
    objects.is_away = False
    assert day.studies == 1
    await day.add()
    again = TenantDay(objects, Clock())
    await again.add()
    assert again.studies == 1


async def test_a_day_begins_at_midnight_and_the_one_before_goes():
    objects, clock = MemoryStore(), Clock()
    day = TenantDay(objects, clock)
    day.count(studies=1)
    await day.add()
    day.count(studies=1)
    assert day.left_s() == 12 * 3600
    clock.now += dt.timedelta(hours=12)
    assert day.studies == 0
    day.count(studies=4)
    await day.add()
    assert await objects.keys(QUOTAS) == [f"{QUOTAS}20261130.json"]
    assert day.studies == 4


async def test_counts_that_cannot_be_read_begin_anew():
    objects = MemoryStore()
    await objects.create(f"{QUOTAS}20261129.json", b"no document", media_type="text/plain")
    day = TenantDay(objects, Clock())
    day.count(studies=1)
    await day.add()
    again = TenantDay(objects, Clock())
    await again.add()
    assert again.studies == 1
