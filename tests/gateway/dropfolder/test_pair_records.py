"""Parked images are told in the view of their study, once each, until they are mended."""

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable, Coroutine

import pytest

from gateway.errors import (
    Fault,
    InferenceFailedError,
    StudyConflictError,
    UnreadableImagesError,
)
from gateway.results.joins import Request
from gateway.results.view import study_result
from gateway.schemas.events import Outcome
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.result import StudyResult
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
from tests.support.readings import reading
from tests.support.store import MemoryStore, MortalStore

IMAGE, SIDECAR = "images/S1/a.png", "images/S1/a.json"
NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
GOOD = flat_png(200)
BROKEN, BROKEN_TOO = GOOD[:-20], GOOD[:-30]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
async def objects() -> MemoryStore:
    return await store_with_a_good_image()


@pytest.fixture
def dropped() -> MemoryStore:
    store = MemoryStore()
    store.objects |= {IMAGE: BROKEN, SIDECAR: sidecar("S1")}
    return store


@pytest.fixture
def readings() -> Readings:
    return Readings()


@pytest.fixture
def pairing(objects: MemoryStore, dropped: MemoryStore, readings: Readings) -> DropFolderGateway:
    return gateway_on(objects, dropped, readings)


async def store_with_a_good_image() -> MemoryStore:
    objects = MemoryStore()
    await store_good_image(objects, flat_png(3))
    return objects


async def store_good_image(objects: MemoryStore, data: bytes) -> None:
    document = {"study_id": "S1", "view": "AP", "timestamp": NOON.isoformat()}
    metadata, results = StudyMetadata.model_validate(document), results_on(objects)
    image = reading(sha256=digest(data), media_type="image/png", object="image-00000000.png")
    known = await results.known(metadata)
    request = Request(metadata, NOON, (image,), {"image": image}, alone=True)
    await results.add("S1", known, request)


def fails(readings: Readings, *, times: int = 1) -> None:
    fault = Fault("image", "the file is truncated")
    readings.errors = [UnreadableImagesError((fault,)) for _ in range(times)]


async def view(objects: MemoryStore) -> StudyResult:
    record = await results_on(objects).record("S1")
    assert record is not None
    return study_result(record)


async def told(objects: MemoryStore) -> tuple[str, list[tuple[str, str, str]]]:
    """Status, and what the view tells of images that could not be processed."""
    result = await view(objects)
    return result.status.value, [
        (item.part, item.sha256, item.problem.type.removeprefix("urn:radstream:problem:"))
        for item in result.not_processed or ()
    ]


PARTIAL = ("partial", [("a.png", digest(BROKEN), "unreadable-image")])
COMPLETED: tuple[str, list[tuple[str, str, str]]] = ("completed", [])


async def test_parked_image_is_told_in_the_view_of_its_study_once(
    pairing: DropFolderGateway, objects: MemoryStore, readings: Readings
):
    fails(readings, times=3)
    for _ in range(3):
        [item] = (await pairing.deliver(IMAGE)).parked
        assert await told(objects) == PARTIAL
    [entry] = (await view(objects)).not_processed or ()
    assert entry.problem.instance == f"urn:radstream:parked:{item.id}"


async def test_image_without_sidecar_is_told_by_its_folder(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    del dropped.objects[SIDECAR]
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.PARKED
    assert await told(objects) == PARTIAL


async def test_image_whose_sidecar_never_came_is_told_by_its_folder(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    dropped.objects = {IMAGE: GOOD}
    pairing = gateway_on(objects, dropped, readings, waiting_deadline_s=0)
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.WAITING
    await pairing.sweep()
    assert await told(objects) == ("partial", [("a.png", digest(GOOD), "missing-half")])
    dropped.objects[SIDECAR] = sidecar("S1")
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    assert await told(objects) == COMPLETED


async def test_image_outside_of_a_folder_is_told_by_its_sidecar(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    dropped.objects = {"images/b.dcm": b"\0" * 128 + b"DICM", "images/b.json": sidecar("S1")}
    [item] = (await pairing.deliver("images/b.dcm")).parked
    assert item.study_id == "S1"
    status, [(part, _, problem)] = await told(objects)
    assert (status, part, problem) == ("partial", "b.dcm", "unreadable-image")


async def test_image_that_was_parked_before_its_study_was_begun_is_told_with_it(
    dropped: MemoryStore, readings: Readings
):
    objects = MemoryStore()
    fails(readings)
    await gateway_on(objects, dropped, readings).deliver(IMAGE)
    await store_good_image(objects, flat_png(3))  # another name's, and so it mends nothing
    assert await told(objects) == PARTIAL


@pytest.mark.parametrize("how", ["mended", "retried", "discarded"])
async def test_entry_goes_with_its_parked_item(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    readings: Readings,
    how: str,
):
    fails(readings)
    [item] = (await pairing.deliver(IMAGE)).parked
    if how == "discarded":
        await pairing.discard(item.id)
    elif how == "retried":
        assert (await pairing.retry(item.id)).outcome is Outcome.PROCESSED
    else:
        dropped.objects[IMAGE] = GOOD
        assert (await pairing.deliver(IMAGE)).outcome is Outcome.PROCESSED
    assert await told(objects) == COMPLETED
    assert not [key for key in objects.objects if "/not_processed/" in key]


async def test_other_bytes_that_fail_too_take_the_entrys_place(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    fails(readings, times=2)
    await pairing.deliver(IMAGE)
    dropped.objects[IMAGE] = BROKEN_TOO
    await pairing.deliver(IMAGE)
    assert await told(objects) == (
        "partial",
        [("a.png", digest(BROKEN_TOO), "unreadable-image")],
    )


async def test_image_that_contradicts_the_study_is_not_told_in_it(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    fails(readings)
    await pairing.deliver(IMAGE)
    readings.errors = [StudyConflictError((Fault("/patient_id", "differs"),))]
    await pairing.deliver(IMAGE)  # its sidecar names another patient by now
    assert await told(objects) == COMPLETED
    dropped.objects[SIDECAR] = sidecar("S2")
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.PARKED
    assert await told(objects) == COMPLETED


async def test_deleted_study_is_not_begun_anew_by_what_is_parked(
    pairing: DropFolderGateway, objects: MemoryStore, readings: Readings
):
    objects.objects.clear()
    await objects.create("deleted/" + digest(b"S1")[:32] + "/x.json", b"", media_type="")
    fails(readings)
    await pairing.deliver(IMAGE)
    assert not [key for key in objects.objects if key.startswith("results/")]


async def dying_at_each_step(
    work: Callable[[DropFolderGateway], Coroutine[object, object, object]],
    dropped: MemoryStore,
    *,
    prepared: bool,
) -> None:
    """Let a gateway die before each of its calls, and another one deliver once more."""
    died = 0
    for step in range(80):
        objects, readings = await store_with_a_good_image(), Readings()
        heir = gateway_on(objects, dropped, readings)
        if prepared:
            data, dropped.objects[IMAGE] = dropped.objects[IMAGE], BROKEN
            fails(readings)
            await heir.deliver(IMAGE)
            dropped.objects[IMAGE] = data
        else:
            fails(readings, times=2)
        mortal = MortalStore(objects.objects, step)
        died += await mortal.kills(work(gateway_on(mortal, dropped, readings)))
        if not prepared:
            fails(readings)
        await work(heir)
        assert await told(objects) == (COMPLETED if prepared else PARTIAL), step
    assert 8 < died < 80  # it came to its end, too


@pytest.mark.long
async def test_gateway_may_die_at_any_step_of_parking(dropped: MemoryStore):
    await dying_at_each_step(lambda gateway: gateway.deliver(IMAGE), dropped, prepared=False)


@pytest.mark.long
async def test_gateway_may_die_at_any_step_of_mending(dropped: MemoryStore):
    dropped.objects[IMAGE] = GOOD
    await dying_at_each_step(lambda gateway: gateway.deliver(IMAGE), dropped, prepared=True)


# --- marks ---------------------------------------------------------------------------------------


def left_of(objects: MemoryStore) -> list[str]:
    return [key for key in objects.objects if key.startswith(("parked/", "pairing/"))]


async def test_discarded_item_leaves_no_mark(
    pairing: DropFolderGateway, objects: MemoryStore, readings: Readings
):
    fails(readings)
    [item] = (await pairing.deliver(IMAGE)).parked
    assert len(left_of(objects)) == 2
    await pairing.discard(item.id)
    assert left_of(objects) == []


async def test_item_whose_mark_was_lost_goes_with_its_retry(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    """As where a backup was restored without what waits."""
    fails(readings)
    [item] = (await pairing.deliver(IMAGE)).parked
    [mark] = [key for key in left_of(objects) if key.startswith("pairing/")]
    del objects.objects[mark]
    dropped.objects[IMAGE] = GOOD
    assert (await pairing.retry(item.id)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


class HeldStore(MemoryStore):
    """The view of shared objects that a gateway has which is held before it marks anything."""

    def __init__(self, objects: MemoryStore) -> None:
        super().__init__()
        self.objects = objects.objects
        self.reached, self.released = asyncio.Event(), asyncio.Event()

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        if key.endswith("-parked.json"):
            self.reached.set()
            await self.released.wait()
        return await super().create(key, data, media_type=media_type)


async def test_image_that_is_parked_while_another_gateway_stores_its_reading_is_cleared(
    objects: MemoryStore, dropped: MemoryStore
):
    def gateway(objects: MemoryStore, readings: Readings) -> DropFolderGateway:
        pipeline = StoringPipeline(results_on(objects), readings, no_turn)
        return gateway_on(objects, dropped, readings, pipeline=pipeline)

    dropped.objects[IMAGE] = GOOD
    failing, held = Readings(errors=[InferenceFailedError("m", "")]), HeldStore(objects)
    late = asyncio.create_task(gateway(held, failing).deliver(IMAGE))
    await held.reached.wait()
    assert (await gateway(objects, Readings()).deliver(IMAGE)).outcome is Outcome.PROCESSED
    held.released.set()
    assert (await late).outcome is Outcome.DUPLICATE
    assert left_of(objects) == []
    assert await told(objects) == COMPLETED
