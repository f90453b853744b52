"""Names of the drop folder that come to hold other bytes: what lies there now stands."""

import asyncio
import hashlib
import itertools
import random

import pytest
from structlog.testing import capture_logs

from gateway.errors import DeliveryUnfinishedError
from gateway.results.documents import StudyRecord
from gateway.results.view import picture_key, study_result, study_summary
from gateway.schemas.result import ModelVersion, StudyResult
from gateway.storage.protocol import Reserve
from tests.support.audit import Trail
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

NAME, OTHER_NAME = "images/S1/front.png", "images/S1/side.png"
MODEL = ModelVersion(name="brightness", version="1")
# Of these bytes the model says that they are positive.
POSITIVE, NEGATIVE, THIRD = b"positive bytes", b"negative bytes", b"more bytes"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


A, B, C = digest(POSITIVE), digest(NEGATIVE), digest(THIRD)


class Versions(MemoryStore):
    """A drop folder that keeps every version of its objects, numbered from 1."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, list[bytes]] = {}

    def put(self, key: str, data: bytes) -> str:
        self.objects[key] = data
        self.versions.setdefault(key, []).append(data)
        return str(len(self.versions[key]))

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        if version_id is None:
            return await super().read(key, limit_bytes=limit_bytes, reserve=reserve)
        return self.versions[key][int(version_id) - 1]


def gateway(
    objects: MemoryStore, dropped: Versions, trail: Trail | None = None
) -> DropFolderGateway:
    """One gateway's drop folder, which keeps readings."""
    readings = Readings()
    pipeline = StoringPipeline(results_on(objects), readings, no_turn)
    return gateway_on(objects, dropped, readings, pipeline=pipeline, trail=trail)


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def dropped() -> Versions:
    versions = Versions()
    for key in (NAME, OTHER_NAME):
        versions.put(key.replace(".png", ".json"), sidecar("S1"))
    return versions


async def superseded(objects: MemoryStore) -> dict[str, str | None]:
    """Of every image in the view what it was superseded by."""
    view = await view_of(objects)
    return {image.sha256: image.superseded_by for image in view.images}


async def view_of(objects: MemoryStore) -> StudyResult:
    return study_result(await record_of(objects))


async def record_of(objects: MemoryStore) -> StudyRecord:
    record = await results_on(objects).record("S1")
    assert record is not None
    return record


async def deliver(pairing: DropFolderGateway, key: str, version_id: str | None = None) -> None:
    """Deliver until it is done, as the queue does."""
    while True:
        try:
            await pairing.deliver(key, version_id)
        except DeliveryUnfinishedError:
            continue
        return


async def test_new_bytes_under_a_name_leave_the_old_reading_and_take_its_place(
    objects: MemoryStore, dropped: Versions
):
    trail = Trail()
    pairing = gateway(objects, dropped, trail)
    dropped.put(NAME, POSITIVE)
    await deliver(pairing, NAME)
    [image] = (await view_of(objects)).images
    link = image.preview
    dropped.put(NAME, NEGATIVE)
    with capture_logs() as lines:
        await deliver(pairing, NAME)
    view = await view_of(objects)
    assert await superseded(objects) == {A: B, B: None}
    assert [image.number for image in view.images] == [1, 2]
    assert [(notice.pointer, notice.detail) for notice in view.warnings] == [
        (
            "image",
            "image 1 is superseded by image 2: other bytes came under its name in the drop folder",
        )
    ]
    summary = study_summary(await record_of(objects), view.status)
    assert (summary.status, summary.images, summary.positive) == ("completed", 1, ())
    assert view.completed_at == view.images[1].readings[0].completed_at
    # It can still be looked at.
    results = results_on(objects)
    [old, _] = await results.readings("S1")
    assert link == f"/v1/studies/S1/images/1/preview.png?key={picture_key(old, 0)}"
    assert await results.image(old) == POSITIVE
    records = [(item["operation"], item["action"], item["studies"]) for item in trail.records]
    assert records == [("drop folder: supersede image", "U", ["S1"])]
    assert "dropfolder.superseded" in [line["event"] for line in lines]


async def test_same_bytes_under_another_name_are_not_told_as_superseding(
    objects: MemoryStore, dropped: Versions
):
    pairing = gateway(objects, dropped)
    dropped.put(NAME, POSITIVE)
    await deliver(pairing, NAME)
    dropped.put(OTHER_NAME, POSITIVE)
    with capture_logs() as lines:
        await deliver(pairing, OTHER_NAME)
    assert await superseded(objects) == {A: None}
    assert [line["event"] for line in lines] == ["dropfolder.delivered"]


async def test_old_bytes_that_come_back_stand_again(objects: MemoryStore, dropped: Versions):
    pairing = gateway(objects, dropped)
    for data, expected in (
        (POSITIVE, {A: None}),
        (NEGATIVE, {A: B, B: None}),
        (POSITIVE, {A: None, B: A}),
        (THIRD, {A: C, B: C, C: None}),
        (NEGATIVE, {A: B, B: None, C: B}),
    ):
        dropped.put(NAME, data)
        await deliver(pairing, NAME)
        await deliver(pairing, NAME)  # and once more, as events do
        assert await superseded(objects) == expected


@pytest.mark.parametrize("order", list(itertools.permutations("123")))
async def test_versions_in_any_order_come_to_what_lies_there_now(
    objects: MemoryStore, dropped: Versions, order: tuple[str, ...]
):
    pairings = [gateway(objects, dropped), gateway(objects, dropped)]
    for data in (POSITIVE, NEGATIVE, THIRD):
        dropped.put(NAME, data)
    for pairing, version_id in zip(itertools.cycle(pairings), order, strict=False):
        await deliver(pairing, NAME, version_id)
    assert await superseded(objects) == {A: C, B: C, C: None}


@pytest.mark.parametrize("seed", range(12))
async def test_two_gateways_at_once_come_to_the_same_end(dropped: Versions, seed: int):
    draw = random.Random(seed)  # noqa: S311 - an order to try

    async def turn() -> None:
        for _ in range(draw.randrange(4)):
            await asyncio.sleep(0)

    objects = MemoryStore(turn)
    contents = [POSITIVE, NEGATIVE, THIRD, draw.choice([POSITIVE, NEGATIVE])]

    async def put_and_deliver() -> None:
        deliveries = []
        for data in contents:
            version_id = dropped.put(NAME, data)
            for _ in range(2):
                pairing = gateway(objects, dropped)
                deliveries.append(asyncio.create_task(deliver(pairing, NAME, version_id)))
            await turn()
        await asyncio.gather(*deliveries)

    await put_and_deliver()
    last = digest(contents[-1])
    assert await superseded(objects) == {
        sha256: None if sha256 == last else last for sha256 in (A, B, C)
    }


async def test_other_bytes_that_cannot_be_read_replace_nothing(
    objects: MemoryStore, dropped: Versions
):
    pairing = gateway(objects, dropped)
    first = dropped.put(NAME, POSITIVE)
    second = dropped.put(NAME, NEGATIVE)
    dropped.put(NAME, b"half of a file")  # lies there, and nobody has read it yet
    await deliver(pairing, NAME, first)
    await deliver(pairing, NAME, second)
    assert await superseded(objects) == {A: None, B: None}
    dropped.put(NAME, b"x" * 20_000)  # longer than is taken
    await deliver(pairing, NAME, second)
    assert await superseded(objects) == {A: None, B: None}


async def test_what_was_read_last_stands_where_the_file_is_gone(
    objects: MemoryStore, dropped: Versions
):
    pairing = gateway(objects, dropped)
    first, second = dropped.put(NAME, POSITIVE), dropped.put(NAME, NEGATIVE)
    await deliver(pairing, NAME, first)
    del dropped.objects[NAME]
    await deliver(pairing, NAME, second)
    assert await superseded(objects) == {A: B, B: None}
    await deliver(pairing, NAME, first)  # once more: nothing new lies there
    assert await superseded(objects) == {A: B, B: None}


async def test_images_of_other_names_are_not_concerned(objects: MemoryStore, dropped: Versions):
    pairing = gateway(objects, dropped)
    for key, data in ((NAME, POSITIVE), (OTHER_NAME, NEGATIVE), (OTHER_NAME, THIRD)):
        dropped.put(key, data)
        await deliver(pairing, key)
    assert await superseded(objects) == {A: None, B: C, C: None}


async def test_bytes_that_lie_under_a_second_name_go_on_standing(
    objects: MemoryStore, dropped: Versions
):
    pairing = gateway(objects, dropped)
    for key, data in ((NAME, POSITIVE), (OTHER_NAME, POSITIVE), (NAME, NEGATIVE)):
        dropped.put(key, data)
        await deliver(pairing, key)
    assert await superseded(objects) == {A: None, B: None}
    dropped.put(OTHER_NAME, THIRD)
    await deliver(pairing, OTHER_NAME)
    assert await superseded(objects) == {A: B, B: None, C: None}


async def test_study_of_two_pairs_asks_the_store_for_no_more(
    objects: MemoryStore, dropped: Versions
):
    pairing = gateway(objects, dropped)
    dropped.put(NAME, POSITIVE)
    dropped.put(OTHER_NAME, NEGATIVE)
    await deliver(pairing, NAME)
    await deliver(pairing, OTHER_NAME)
    assert (await record_of(objects)).standing == {}
    assert sum(call == "read" and key == NAME for call, key in dropped.calls) == 1
    assert sum(call == "read" and key == OTHER_NAME for call, key in dropped.calls) == 1
