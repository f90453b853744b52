"""Requests to the store that a pair costs, and what a delivery leaves to the one before it."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from gateway.schemas.events import Outcome
from tests.support.models import flat_png
from tests.support.pairing import (
    DropFolderGateway,
    Readings,
    StoringPipeline,
    gateway_on,
    no_turn,
    results_on,
    sidecar,
)
from tests.support.store import MemoryStore

IMAGE, SIDECAR, OTHER = "images/S1/a.png", "images/S1/a.json", "images/S1/a.jpeg"
PNG, OTHER_PNG = flat_png(200), flat_png(100)


@dataclass
class Requests:
    """Requests to all stores, in the order of their beginnings, with begin and end of each."""

    calls: list[str] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    clock: Iterator[int] = field(default_factory=itertools.count)

    def waits(self) -> int:
        """Return the number of waits: requests that are under way together are one."""
        ended, waits = -1, 0
        for begun, end in sorted(self.spans):
            waits += begun > ended
            ended = max(ended, end)
        return waits


class CountedStore(MemoryStore):
    """A store whose requests take a while."""

    def __init__(self, requests: Requests) -> None:
        super().__init__(_a_while)
        self._requests = requests

    async def _step(self, call: str, key: str) -> None:
        begun = next(self._requests.clock)
        self._requests.calls.append(f"{call} {key.rpartition('/')[0] or key}")
        await super()._step(call, key)
        self._requests.spans.append((begun, next(self._requests.clock)))


async def _a_while() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def dropped(requests: Requests) -> MemoryStore:
    store = CountedStore(requests)
    store.objects |= {IMAGE: PNG, SIDECAR: sidecar("S1")}
    return store


@pytest.fixture
def objects(requests: Requests) -> MemoryStore:
    return CountedStore(requests)


@pytest.fixture
def readings() -> Readings:
    return Readings()


@pytest.fixture
def gateway(objects: MemoryStore, dropped: MemoryStore, readings: Readings) -> DropFolderGateway:
    pipeline = StoringPipeline(results_on(objects), readings, no_turn)
    return gateway_on(objects, dropped, readings, pipeline=pipeline)


async def deliver(
    gateway: DropFolderGateway, requests: Requests, tags: Sequence[tuple[str, str]]
) -> list[Outcome]:
    """Return the outcomes of events that come together, in the order given."""
    requests.calls.clear()
    requests.spans.clear()
    deliveries = [asyncio.create_task(gateway.deliver(key, tag=tag)) for key, tag in tags]
    return [delivery.outcome for delivery in await asyncio.gather(*deliveries)]


async def tags(dropped: MemoryStore, *keys: str) -> list[tuple[str, str]]:
    """Return keys with the tags that events tell: as S3 has them, but without quotes."""
    return [(key, (await dropped.read_tagged(key)).tag) for key in keys]


NINE = [
    "create results/S1/images",  # the heat map; the other one is the image
    "keys deleted",
    "keys images/S1",
    "keys pairing/waiting",
    "read images/S1",
    "read images/S1",
    "read results/S1",
    "replace results/S1/images",
    "swap results/S1",
]


def short(calls: Sequence[str]) -> list[str]:
    """Return calls with the beginnings of what they asked for, in alphabetic order."""
    kinds = ("results/S1/images", "deleted", "images/S1", "pairing/waiting", "results/S1")
    found = []
    for call in calls:
        verb, place = call.split(" ")
        found.append(f"{verb} {next(kind for kind in kinds if place.startswith(kind))}")
    return sorted(found)


@pytest.mark.parametrize("order", [(IMAGE, SIDECAR), (SIDECAR, IMAGE)], ids=["image", "sidecar"])
async def test_pair_whose_events_come_together_costs_nine_requests_and_five_waits(
    gateway: DropFolderGateway, dropped: MemoryStore, requests: Requests, order: tuple[str, str]
):
    events = await tags(dropped, *order)
    assert await deliver(gateway, requests, events) == [Outcome.PROCESSED, Outcome.DUPLICATE]
    assert short(requests.calls) == NINE
    assert requests.waits() == 5


async def test_pair_of_one_event_costs_eight_requests_and_five_waits(
    gateway: DropFolderGateway, dropped: MemoryStore, requests: Requests
):
    assert await deliver(gateway, requests, await tags(dropped, IMAGE)) == [Outcome.PROCESSED]
    assert short(requests.calls) == [call for call in NINE if call != "keys images/S1"]
    assert requests.waits() == 5


@pytest.mark.parametrize(("key", "count"), [(IMAGE, 7), (SIDECAR, 8)], ids=["image", "sidecar"])
async def test_event_that_comes_when_its_pair_is_done_costs_as_many_requests_more(
    gateway: DropFolderGateway, dropped: MemoryStore, requests: Requests, key: str, count: int
):
    await deliver(gateway, requests, await tags(dropped, IMAGE, SIDECAR))
    assert await deliver(gateway, requests, await tags(dropped, key)) == [Outcome.DUPLICATE]
    assert len(requests.calls) == count


async def test_second_pair_of_a_study_costs_no_more(
    gateway: DropFolderGateway, dropped: MemoryStore, requests: Requests
):
    await deliver(gateway, requests, await tags(dropped, IMAGE, SIDECAR))
    second = ("images/S1/b.png", "images/S1/b.json")
    dropped.objects |= {second[0]: OTHER_PNG, second[1]: sidecar("S1")}
    await deliver(gateway, requests, await tags(dropped, *second))
    assert short(requests.calls) == NINE


async def test_event_of_other_bytes_is_taken_whole(
    gateway: DropFolderGateway, dropped: MemoryStore, requests: Requests, readings: Readings
):
    events = await tags(dropped, SIDECAR, IMAGE)
    stale = [events[0], (IMAGE, "another tag")]
    assert await deliver(gateway, requests, stale) == [Outcome.PROCESSED, Outcome.DUPLICATE]
    assert requests.calls.count("read images/S1") == 4
    assert readings.inferences.total() == 1


async def test_sidecar_is_taken_whole_where_another_image_lies_beside_it(
    gateway: DropFolderGateway, dropped: MemoryStore, requests: Requests, readings: Readings
):
    dropped.objects[OTHER] = OTHER_PNG
    events = await tags(dropped, IMAGE, SIDECAR)
    assert await deliver(gateway, requests, events) == [Outcome.PROCESSED, Outcome.PROCESSED]
    assert readings.inferences.total() == 2


async def test_event_is_taken_whole_where_anything_of_its_pair_waits(
    gateway: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    requests: Requests,
    readings: Readings,
):
    """As an older version of the image may, of which no listing of the drop folder tells."""
    older = gateway.folder.inbox.find(IMAGE)
    assert older is not None
    await gateway.folder.records.waiting.add(older, "1")
    events = await tags(dropped, IMAGE, SIDECAR)
    assert await deliver(gateway, requests, events) == [Outcome.PROCESSED, Outcome.DUPLICATE]
    assert requests.calls.count("read images/S1") > 2
    assert readings.inferences.total() == 1
    assert not [key for key in objects.objects if key.startswith("pairing/")]


async def test_delivery_behind_one_that_failed_is_taken_whole(
    gateway: DropFolderGateway, dropped: MemoryStore, requests: Requests
):
    dropped.objects[SIDECAR] = b"{"
    events = await tags(dropped, IMAGE, SIDECAR)
    assert await deliver(gateway, requests, events) == [Outcome.PARKED, Outcome.PARKED]
