"""In which order dropped files are delivered, and who waits for whom."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from gateway.audit.trail import Audit
from gateway.dropfolder.delivery_order import DeliveryOrder
from gateway.dropfolder.dropped_lanes import DroppedLanes
from gateway.dropfolder.watched_folder.collector import Collector
from gateway.dropfolder.watched_folder.folder import Settled
from gateway.dropfolder.watched_folder.ledger import Ledger
from gateway.dropfolder.watched_folder.scanning import Signature
from gateway.errors import InferenceUnavailableError
from gateway.observability.metrics import Metrics
from gateway.routing.in_force import Routing
from gateway.schemas.routing import RoutingDocument
from gateway.studies.imaging import Imaging
from preprocess import Limits
from tests.support.audit import Trail
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import until
from tests.support.models import flat_png
from tests.support.pairing import DropFolderGateway, Readings, gateway_on, no_turn, sidecar
from tests.support.store import MemoryStore

SIGNATURE = Signature(1, 1, 1)


class Dropped(MemoryStore):
    """A drop folder whose files are told as they are put."""

    def __init__(self) -> None:
        super().__init__(no_turn)
        self.batches: asyncio.Queue[list[Settled]] = asyncio.Queue()

    def put(self, *, was_there: bool = False, **files: bytes) -> None:
        """`S1_a_png=` is put as images/S1/a.png, and told in one batch with the others."""
        keys = [f"images/{self._path(name)}" for name in files]
        self.objects |= dict(zip(keys, files.values(), strict=True))
        self.batches.put_nowait([Settled(key, SIGNATURE, was_there) for key in keys])

    async def told(self) -> AsyncIterator[Sequence[Settled]]:
        while True:
            yield await self.batches.get()

    @staticmethod
    def _path(name: str) -> str:
        *folder, base, ending = name.split("_")
        return "/".join([*folder, f"{base}.{ending}"])


class Turns:
    """Lets inferences go one at a time, and knows how many want to."""

    def __init__(self) -> None:
        self.waiting = 0
        self._free = asyncio.Semaphore(0)

    async def turn(self) -> None:
        self.waiting += 1
        await self._free.acquire()
        self.waiting -= 1

    def free(self, count: int = 1) -> None:
        for _ in range(count):
            self._free.release()


@asynccontextmanager
async def collecting(
    pairing: DropFolderGateway,
    dropped: Dropped,
    ledger: Ledger | None = None,
    at_once: int = 4,
    routing: Routing | None = None,
) -> AsyncIterator[None]:
    """A collector at work."""
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    noted = ledger or Ledger(None)
    arrive = noted.arrive
    collector = Collector(
        pairing,
        inbox=pairing.folder.inbox,
        order=DeliveryOrder(pairing.folder.inbox, imaging),
        lanes=DroppedLanes(pairing.folder.inbox, routing or Routing()),
        ledger=noted,
        audit=Audit(Trail(), Metrics(CollectorRegistry()), instance="here"),
        at_once=at_once,
    )

    async def arriving() -> AsyncIterator[Sequence[Settled]]:
        async for batch in dropped.told():
            arrive([file.file for file in batch])
            yield batch

    task = asyncio.create_task(collector.collect(arriving()))
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        imaging.close()
        noted.close()


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore(no_turn)


@pytest.fixture
def dropped() -> Dropped:
    return Dropped()


@pytest.fixture
def readings() -> Readings:
    return Readings()


def studies(readings: Readings) -> list[str]:
    """Of the inferences, in order."""
    return [key.split("/")[1] for key in readings.inferences]


def deliveries(pairing: DropFolderGateway) -> dict[str, float]:
    [counter] = pairing.metrics.dropfolder.deliveries.collect()
    return {
        sample.labels["outcome"]: sample.value
        for sample in counter.samples
        if sample.name.endswith("_total")
    }


async def test_pair_that_comes_together_is_delivered_once(
    objects: MemoryStore, dropped: Dropped, readings: Readings
):
    pairing = gateway_on(objects, dropped, readings)
    async with collecting(pairing, dropped):
        dropped.put(S1_a_png=flat_png(1), S1_a_json=sidecar("S1"))
        dropped.put(S2_a_json=sidecar("S2"), S2_a_png=flat_png(2), S2_a_jpeg=flat_png(3))
        await until(lambda: readings.inferences.total() == 3)
        dropped.put(S3_a_png=flat_png(4))
        await until(lambda: "waiting" in deliveries(pairing))
    assert deliveries(pairing) == {"processed": 2, "waiting": 1}


async def test_halves_that_come_one_after_the_other_are_each_delivered(
    objects: MemoryStore, dropped: Dropped, readings: Readings
):
    pairing = gateway_on(objects, dropped, readings)
    async with collecting(pairing, dropped):
        dropped.put(a_png=flat_png(1))
        await until(lambda: deliveries(pairing) == {"waiting": 1})
        dropped.put(a_json=sidecar("S1"))
        await until(lambda: deliveries(pairing) == {"waiting": 1, "processed": 1})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            {"S1_b_png": flat_png(1), "S1_b_json": sidecar("S1")},
            {"S1_a_png": flat_png(2), "S1_a_json": sidecar("S1")},
        ),
        (
            {"b_png": flat_png(1), "b_json": sidecar("S1")},
            {"a_json": sidecar("S1"), "a_png": flat_png(2)},
        ),
        (
            {"b_png": flat_png(1), "b_json": sidecar("S1")},
            {"S1_a_png": flat_png(2), "S1_a_json": sidecar("S1")},
        ),
        (
            {"b_dcm": file_of(radiograph(StudyInstanceUID="1.2.3", InstanceNumber=1))},
            {"a_dcm": file_of(radiograph(StudyInstanceUID="1.2.3", InstanceNumber=2))},
        ),
    ],
    ids=["folder", "sidecars", "both", "data sets"],
)
async def test_second_of_a_study_waits_for_the_first_and_others_do_not(
    objects: MemoryStore,
    dropped: Dropped,
    readings: Readings,
    first: dict[str, bytes],
    second: dict[str, bytes],
):
    turns = Turns()
    pairing = gateway_on(objects, dropped, readings, turn=turns.turn, image_bytes=10**6)
    async with collecting(pairing, dropped):
        dropped.put(**first, **second, S2_x_png=flat_png(9), S2_x_json=sidecar("S2"))
        await until(lambda: turns.waiting == 2)
        assert sorted(studies(readings)) == sorted([readings_of(first), "S2"])
        turns.free(3)
        await until(lambda: readings.inferences.total() == 3)


def readings_of(files: dict[str, bytes]) -> str:
    """The study that these files are of."""
    return "1.2.3" if "b_dcm" in files else "S1"


async def test_what_cannot_be_taken_now_is_tried_again_before_the_next_of_its_study(
    objects: MemoryStore, dropped: Dropped, readings: Readings
):
    readings.errors = [InferenceUnavailableError("down")] * 2
    pairing = gateway_on(objects, dropped, readings)
    async with collecting(pairing, dropped):
        dropped.put(S1_b_png=flat_png(1), S1_b_json=sidecar("S1"))
        dropped.put(S1_a_png=flat_png(2), S1_a_json=sidecar("S1"))
        await until(lambda: readings.inferences.total() == 2)
    assert list(readings.inferences) == [
        f"results/S1/{hashlib.sha256(flat_png(level)).hexdigest()}" for level in (1, 2)
    ]


async def test_what_was_there_before_leaves_turns_to_what_comes(
    objects: MemoryStore, dropped: Dropped, readings: Readings
):
    turns = Turns()
    pairing = gateway_on(objects, dropped, readings, turn=turns.turn)
    async with collecting(pairing, dropped, at_once=2):
        for number in range(5):
            dropped.put(
                was_there=True,
                **{f"OLD{number}_a_png": flat_png(number)},
                **{f"OLD{number}_a_json": sidecar(f"OLD{number}")},
            )
        await until(lambda: turns.waiting == 1)
        dropped.put(NEW_a_png=flat_png(200), NEW_a_json=sidecar("NEW"))
        await until(lambda: turns.waiting == 2)
        assert "NEW" in studies(readings)
        turns.free(6)
        await until(lambda: readings.inferences.total() == 6)


async def test_what_another_gateway_took_meanwhile_is_left_alone(
    objects: MemoryStore, dropped: Dropped, readings: Readings
):
    ledger = Ledger(None)
    files = [("images/S1/a.png", SIGNATURE), ("images/S1/a.json", SIGNATURE)]
    ledger.arrive(files)
    ledger.take(files)
    pairing = gateway_on(objects, dropped, readings)
    async with collecting(pairing, dropped, ledger):
        dropped.put(S1_a_png=flat_png(1), S1_a_json=sidecar("S1"))
        dropped.put(S2_a_png=flat_png(2), S2_a_json=sidecar("S2"))
        await until(lambda: readings.inferences.total() == 1)
    assert studies(readings) == ["S2"]


async def test_an_urgent_pair_passes_those_that_wait(
    objects: MemoryStore, dropped: Dropped, readings: Readings
):
    rules = [
        {"name": lane, "when": {"field": "metadata.accession_number", "equals": lane}, "lane": lane}
        for lane in ("stat", "research")
    ]
    document = {"schema": "radstream.routing/1", "rules": rules, "otherwise": {}}
    routing = Routing(RoutingDocument.model_validate(document))
    turns = Turns()
    pairing = gateway_on(objects, dropped, readings, turn=turns.turn)
    async with collecting(pairing, dropped, at_once=2, routing=routing):
        for number in range(5):
            dropped.put(
                **{f"R{number}_a_png": flat_png(number)},
                **{f"R{number}_a_json": sidecar(f"R{number}", accession_number="research")},
            )
        await until(lambda: turns.waiting == 2)
        dropped.put(W_a_png=flat_png(100), W_a_json=sidecar("W"))
        dropped.put(S_a_png=flat_png(200), S_a_json=sidecar("S", accession_number="stat"))
        await until(lambda: turns.waiting == 3)
        assert "S" in studies(readings)
        turns.free(2)
        await until(lambda: readings.inferences.total() == 4)
        assert "W" in studies(readings)
        turns.free(6)
        await until(lambda: readings.inferences.total() == 7)
