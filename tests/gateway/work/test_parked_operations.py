"""Parked items: retried and discarded by the part of the gateway whose work they are."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from gateway.audit.trail import GATEWAY, Audit
from gateway.dropfolder.parked_objects import ParkedObjects
from gateway.errors import GivenUpError, ParkedItemNotFoundError, UnknownModelError
from gateway.observability.metrics import Metrics
from gateway.schemas.events import Outcome
from gateway.schemas.parked import ParkedItem
from gateway.storage.layout import CALLBACKS
from gateway.work.keys import WorkId, of_parked, parked_key
from gateway.work.parked_operations import ParkedOperations
from tests.support.audit import Trail
from tests.support.gateway import until
from tests.support.pairing import IMAGE, PNG, DropFolderGateway, Readings, gateway_on, put
from tests.support.store import MemoryStore
from tests.support.work import Gateway, Job, image_key

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def job() -> Job:
    return Job(errors=[UnknownModelError("m", ())])


@pytest.fixture
async def gateway(objects: MemoryStore, job: Job) -> AsyncIterator[Gateway]:
    gateway = Gateway(objects, job)
    yield gateway
    await gateway.die()


async def parked(gateway: Gateway) -> tuple[WorkId, ParkedItem]:
    """Have work fail for good."""
    work = await gateway.add()
    gateway.take(work)
    key = parked_key(gateway.entries.kind, work)
    items: list[ParkedItem] = []

    async def is_parked() -> bool:
        items[:] = await gateway.parking.items(after="", limit=None)
        return any(item.key == key for item in items) and not await gateway.entries.due()

    await until(is_parked)
    return work, next(item for item in items if item.key == key)


def left(objects: MemoryStore) -> list[str]:
    """Keys of all but the studies' documents."""
    return [key for key in objects.objects if not key.endswith("/result.json")]


# --- work of one kind ----------------------------------------------------------------------------


async def test_work_that_is_retried_is_pending_then_done_and_leaves_nothing(
    gateway: Gateway, objects: MemoryStore, job: Job
):
    work, item = await parked(gateway)
    job.gate = asyncio.Event()
    told = await gateway.parked.retry(item)
    assert (told.outcome, told.study) == (Outcome.PENDING, "/v1/studies/S1")
    assert await gateway.parking.items(after="", limit=None) == []
    job.gate.set()
    await until(lambda: job.done == [work.id])
    await until(lambda: not left(objects))


async def test_retry_takes_the_work_at_once_and_not_at_the_next_sweep(
    objects: MemoryStore, job: Job
):
    gateway = Gateway(objects, job, sweep_s=3600.0)
    work, item = await parked(gateway)
    await gateway.parked.retry(item)
    await until(lambda: job.done == [work.id])
    await gateway.die()


async def test_work_that_has_not_failed_cannot_be_retried(gateway: Gateway, job: Job):
    job.gate = asyncio.Event()
    work = await gateway.add()
    key = parked_key(gateway.entries.kind, work)
    item = await gateway.parking.park_work(key, GivenUpError(3))
    with pytest.raises(ParkedItemNotFoundError):
        await gateway.parked.retry(item)
    assert await gateway.parking.item(item.id) == item


async def test_discard_takes_failed_work_with_its_images(
    gateway: Gateway, objects: MemoryStore, job: Job
):
    work, item = await parked(gateway)
    assert objects.objects[image_key(work)] == b"pixels"
    await gateway.parked.discard(item)
    assert await gateway.failure(work) is None
    assert left(objects) == [f"parked/{item.id}.json"]
    assert job.done == []


async def test_discard_of_work_that_is_pending_again_leaves_its_images(
    gateway: Gateway, objects: MemoryStore, job: Job
):
    work, item = await parked(gateway)
    job.gate = asyncio.Event()
    await gateway.parked.retry(item)
    await gateway.parked.discard(item)
    assert image_key(work) in objects.objects
    job.gate.set()
    await until(lambda: job.done == [work.id])


async def test_work_owns_the_items_of_its_kind_alone(gateway: Gateway, objects: MemoryStore):
    work, item = await parked(gateway)
    assert gateway.parked.owns(item)
    assert gateway.parked.study_of(item) == "S1"
    other = await gateway.parking.park_work(parked_key(CALLBACKS, work), GivenUpError(3))
    dropped = await dropped_item(folder_on(objects))
    for item in (other, dropped):
        assert not gateway.parked.owns(item)
        with pytest.raises(ValueError, match=item.id):
            gateway.parked.study_of(item)


# --- items of all parts --------------------------------------------------------------------------


def folder_on(objects: MemoryStore) -> DropFolderGateway:
    dropped = MemoryStore()
    put(dropped, a_png=PNG[:-20])
    return gateway_on(objects, dropped, Readings())


async def dropped_item(folder: DropFolderGateway) -> ParkedItem:
    [item] = (await folder.deliver(IMAGE)).parked
    return item


def operations(gateway: Gateway, folder: DropFolderGateway) -> ParkedOperations:
    return ParkedOperations(gateway.parking, [gateway.parked, ParkedObjects(folder.folder)])


async def test_each_item_is_retried_by_its_owner(gateway: Gateway, objects: MemoryStore, job: Job):
    folder = folder_on(objects)
    work, of_work = await parked(gateway)
    of_folder = await dropped_item(folder)
    every = operations(gateway, folder)
    assert (await every.retry(of_folder.id)).outcome is Outcome.PARKED  # it is as broken as before
    assert (await every.retry(of_work.id)).outcome is Outcome.PENDING
    await until(lambda: job.done == [work.id])


async def test_discarded_item_is_gone(gateway: Gateway, objects: MemoryStore):
    folder = folder_on(objects)
    every = operations(gateway, folder)
    _, of_work = await parked(gateway)
    for item in (of_work, await dropped_item(folder)):
        await every.discard(item.id)
        with pytest.raises(ParkedItemNotFoundError):
            await every.retry(item.id)
        with pytest.raises(ParkedItemNotFoundError):
            await every.discard(item.id)
    assert await every.items(after="", limit=10) == []


async def test_item_that_cannot_be_read_can_be_discarded(gateway: Gateway, objects: MemoryStore):
    _, item = await parked(gateway)
    objects.objects[f"parked/{item.id}.json"] = b"{"
    every = operations(gateway, folder_on(objects))
    await every.discard(item.id)
    assert f"parked/{item.id}.json" not in objects.objects


async def test_studies_of_items_are_named_to_the_audit_trail(
    gateway: Gateway, objects: MemoryStore
):
    dropped = MemoryStore()
    dropped.objects |= {"images/loose.png": PNG[:-20], "images/S2/a.png": PNG[:-20]}
    folder = gateway_on(objects, dropped, Readings())
    await folder.deliver("images/loose.png")  # of which no study is known
    await folder.deliver("images/S2/a.png")
    _, item = await parked(gateway)
    every = operations(gateway, folder)
    trail = Trail()
    audit = Audit(trail, Metrics(CollectorRegistry()), instance="here")
    async with audit.of_work("list", GATEWAY):
        items = await every.items(after="", limit=10)
    async with audit.of_work("retry", GATEWAY):
        await every.retry(item.id)
    assert len(items) == 3
    assert [sorted(record["studies"]) for record in trail.records] == [["S1", "S2"], ["S1"]]


async def test_items_of_one_kind_are_listed_page_by_page(gateway: Gateway, objects: MemoryStore):
    every = operations(gateway, folder_on(objects))
    kind, other = gateway.entries.kind, CALLBACKS
    for number in range(12):
        work = WorkId.new(f"S{number}", NOW)
        key = parked_key(kind if number % 3 == 0 else other, work)
        await gateway.parking.park_work(key, GivenUpError(3))
    wanted = partial(of_parked, kind)

    def is_wanted(item: ParkedItem) -> bool:
        return wanted(item.key) is not None

    ids = sorted(
        item.id for item in await gateway.parking.items(after="", limit=None) if is_wanted(item)
    )
    first = await every.items(after="", limit=3, wanted=is_wanted)
    rest = await every.items(after=first[-1].id, limit=3, wanted=is_wanted)
    assert [item.id for item in (*first, *rest)] == ids
    assert (len(first), len(rest)) == (3, 1)
