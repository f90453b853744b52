"""The invariants of `gateway.dropfolder.pairing`, under many orders of its steps."""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import Fault, RadStreamError, UnreadableImagesError
from gateway.problems import problem_of
from gateway.schemas.events import Outcome
from gateway.work.parked import Parking
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import until
from tests.support.models import flat_png
from tests.support.pairing import (
    IMAGE,
    PNG,
    SIDECAR,
    DropFolderGateway,
    Readings,
    StoringPipeline,
    gateway_on,
    left_of,
    no_turn,
    problem,
    put,
    results_on,
    sidecar,
)
from tests.support.store import MemoryStore, MortalStore

# --- what meets what -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(IMAGE, SIDECAR), (SIDECAR, IMAGE)], ids=["image", "sidecar"])
async def test_first_half_waits_and_the_second_completes_the_study(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    readings: Readings,
    order: tuple[str, str],
):
    files = {IMAGE: PNG, SIDECAR: sidecar("S1")}
    first, second = order
    dropped.objects[first] = files[first]
    assert (await pairing.deliver(first)).outcome is Outcome.WAITING
    dropped.objects[second] = files[second]
    answer = await pairing.deliver(second)
    assert (answer.outcome, answer.study) == (Outcome.PROCESSED, "/v1/studies/S1")
    assert (await pairing.deliver(first)).outcome is Outcome.DUPLICATE
    assert readings.inferences.total() == 1
    assert left_of(objects) == []


@pytest.mark.parametrize("order", [(IMAGE, SIDECAR), (SIDECAR, IMAGE)], ids=["image", "sidecar"])
@pytest.mark.parametrize(
    ("document", "kind"),
    [(b" " * 1001, "object-too-large"), (b"{", "invalid-metadata")],
    ids=["too long", "no JSON"],
)
async def test_pair_of_a_sidecar_that_cannot_be_read_is_parked_once(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    *,
    order: tuple[str, str],
    document: bytes,
    kind: str,
):
    files = {IMAGE: PNG, SIDECAR: document}
    for key in order:
        dropped.objects[key] = files[key]
        answer = await pairing.deliver(key)
    assert (answer.outcome, problem(answer)) == (Outcome.PARKED, kind)
    [item] = await Parking(objects, problem_of).items(after="", limit=9)
    assert left_of(objects) == [f"parked/{item.id}.json"]
    put(dropped, a_json=sidecar("S1"))
    retried = await pairing.retry(item.id)
    assert (retried.outcome, retried.study) == (Outcome.PROCESSED, "/v1/studies/S1")
    assert left_of(objects) == []


# --- sidecars that are named after the whole image -----------------------------------------------


@pytest.mark.parametrize(
    ("image", "data"),
    [("a.png", PNG), ("a.dcm", file_of(radiograph())), ("a.PNG", PNG), ("a.png.png", PNG)],
)
@pytest.mark.parametrize("is_image_first", [True, False])
async def test_sidecar_may_have_the_images_ending_in_its_name(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    *,
    image: str,
    data: bytes,
    is_image_first: bool,
):
    whole = image.removesuffix(".png") if image == "a.png.png" else image
    files = {f"images/{image}": data, f"images/{whole}.json": sidecar("S4")}
    for key in sorted(files, key=lambda key: key.endswith("json") is is_image_first):
        dropped.objects[key] = files[key]
        answer = await pairing.deliver(key)
    if not (image == "a.dcm" and is_image_first):  # which needed none, and is of its own study
        assert (answer.outcome, answer.study) == (Outcome.PROCESSED, "/v1/studies/S4")
        await pairing.sweep()
        assert [key for key in left_of(objects) if "/bindings/" not in key] == []


async def test_sidecar_with_an_images_ending_is_of_that_image_alone(
    pairing: DropFolderGateway, dropped: MemoryStore, readings: Readings
):
    dropped.objects |= {"images/S1/a.png": PNG, "images/S1/a.jpg": flat_png(9)}
    dropped.objects["images/S1/a.png.json"] = sidecar("S1")
    assert (await pairing.deliver("images/S1/a.png.json")).outcome is Outcome.PROCESSED
    assert (await pairing.deliver("images/S1/a.jpg")).outcome is Outcome.WAITING
    dropped.objects["images/S1/a.jpg.json"] = sidecar("S1")
    assert (await pairing.deliver("images/S1/a.jpg.json")).outcome is Outcome.PROCESSED
    assert readings.inferences.total() == 2


@pytest.mark.parametrize("is_first", [True, False])
async def test_of_two_sidecars_the_one_of_all_images_counts_and_the_other_is_parked(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    *,
    is_first: bool,
):
    own = "images/a.png.json"
    dropped.objects |= {"images/a.png": PNG, "images/a.json": sidecar("S1"), own: sidecar("S2")}
    keys = ["images/a.json", own]
    for key in keys[::-1] if is_first else keys:
        answer = await pairing.deliver(key)
        assert (answer.outcome, problem(answer)) == (Outcome.PARKED, "invalid-metadata")
    [item] = await Parking(objects, problem_of).items(after="", limit=9)
    assert item.key == own
    assert [key for key in objects.objects if key.startswith("results/")] == [
        key for key in objects.objects if key.startswith("results/S1/")
    ]


async def test_second_sidecar_stays_parked_when_its_image_comes_again(
    pairing: DropFolderGateway, dropped: MemoryStore, readings: Readings
):
    async def parked() -> list[str]:
        return sorted(item.key for item in await pairing.parking.items(after="", limit=None))

    image, own = "images/a.png", "images/a.png.json"
    dropped.objects |= {image: PNG, "images/a.json": sidecar("S1"), own: b"{}"}
    await pairing.deliver(own)
    assert (await pairing.deliver(image)).outcome is Outcome.PROCESSED
    assert await parked() == [own]
    readings.errors.append(UnreadableImagesError((Fault("image", "ends too early"),)))
    dropped.objects[image] = flat_png(9)
    assert (await pairing.deliver(image)).outcome is Outcome.PARKED
    assert await parked() == [image, own]
    del dropped.objects["images/a.json"]  # now the other one counts
    dropped.objects[own] = sidecar("S1")
    assert (await pairing.deliver(image)).outcome is Outcome.PROCESSED
    assert await parked() == []


@pytest.mark.parametrize("is_image_first", [True, False])
async def test_oversized_sidecar_with_an_images_ending_is_parked_once(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    *,
    is_image_first: bool,
):
    files = {"images/S1/a.png": PNG, "images/S1/a.png.json": b" " * 1001}
    for key in sorted(files, reverse=not is_image_first):
        dropped.objects[key] = files[key]
        answer = await pairing.deliver(key)
    assert (answer.outcome, problem(answer)) == (Outcome.PARKED, "object-too-large")
    [item] = await Parking(objects, problem_of).items(after="", limit=9)
    assert item.key == "images/S1/a.png.json"
    dropped.objects["images/S1/a.png.json"] = sidecar("S1")
    assert (await pairing.retry(item.id)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


# --- the orders that matter ----------------------------------------------------------------------


class HeldStore(MemoryStore):
    """The view of the shared objects that a gateway has which is held before a step."""

    def __init__(self, objects: dict[str, bytes], call: str, prefix: str) -> None:
        super().__init__(no_turn)
        self.objects = objects
        self.reached, self.released = asyncio.Event(), asyncio.Event()
        self._at = call, prefix

    async def _step(self, call: str, key: str) -> None:
        if call == self._at[0] and key.startswith(self._at[1]):
            self.reached.set()
            await self.released.wait()
        await super()._step(call, key)


async def test_half_that_is_noted_as_waiting_after_its_pair_was_read_waits_no_longer(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    put(dropped, a_png=PNG)
    held = HeldStore(objects.objects, "create", "pairing/waiting/")
    first = asyncio.create_task(gateway_on(held, dropped, Readings()).deliver(IMAGE))
    await held.reached.wait()
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    held.released.set()
    assert (await first).outcome is Outcome.DUPLICATE
    assert left_of(objects) == []


async def test_half_that_is_parked_after_its_pair_was_read_is_cleared(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    put(dropped, a_png=PNG)
    await pairing.deliver(IMAGE)
    held = HeldStore(objects.objects, "replace", "parked/")
    sweep = asyncio.create_task(gateway_on(held, dropped, Readings(), waiting_deadline_s=0).sweep())
    await held.reached.wait()
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    held.released.set()
    await sweep
    assert left_of(objects) == []


@pytest.mark.parametrize(
    ("call", "key"), [("replace", "results/S1/images/"), ("swap", "results/S1/result.json")]
)
async def test_pair_that_two_gateways_process_at_once_has_one_reading(
    objects: MemoryStore, dropped: MemoryStore, call: str, key: str
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    held = HeldStore(objects.objects, call, key)
    late, heir = storing_gateway(held, dropped), storing_gateway(objects, dropped)
    delivery = asyncio.create_task(late.deliver(IMAGE))
    await held.reached.wait()
    assert (await heir.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    held.released.set()
    assert (await delivery).study == "/v1/studies/S1"
    await check_one_reading(objects)


def storing_gateway(
    objects: MemoryStore,
    dropped: MemoryStore,
    readings: Readings | None = None,
    *,
    turn: Callable[[], Awaitable[None]] = no_turn,
    waiting_deadline_s: float = 3600.0,
) -> DropFolderGateway:
    """One gateway's drop folder, which keeps readings; no clock of its own ends anything."""
    readings = readings or Readings()
    return gateway_on(
        objects,
        dropped,
        readings,
        pipeline=StoringPipeline(results_on(objects), readings, turn),
        waiting_deadline_s=waiting_deadline_s,
        timeout_s=600,
    )


async def check_one_reading(objects: MemoryStore, *, orphans: bool = False) -> None:
    """Hold the study to one reading whose image is there, with nothing waiting and nothing parked.

    Parameters
    ----------
    orphans
        Whether a gateway died, and may have left images that nothing names.
    """
    [reading] = await results_on(objects).readings("S1")
    assert reading.sha256 == hashlib.sha256(PNG).hexdigest()
    assert await results_on(objects).image(reading) == PNG
    images = [key for key in left_of(objects, "results/S1/images/") if "/image-" in key]
    assert orphans or len(images) == 1
    assert left_of(objects) == []


# --- any order of the steps ----------------------------------------------------------------------


async def until_done(pairing: DropFolderGateway, key: str) -> Outcome:
    """Deliver as EventBridge and the forwarder do: again after trouble."""
    while True:
        try:
            return (await pairing.deliver(key)).outcome
        except RadStreamError:
            await asyncio.sleep(0)


def random_turns(seed: int) -> Callable[[], Awaitable[None]]:
    """Lets others run between any two steps, for as many of theirs as the seed says."""
    rng = random.Random(seed)  # noqa: S311 - orders of steps, no secrets

    async def turn() -> None:
        for _ in range(rng.choice([0, 1, 2, 5, 20])):
            await asyncio.sleep(0)

    return turn


@pytest.mark.long
@pytest.mark.parametrize("sweeping", [False, True], ids=["patient", "parking"])
async def test_any_interleaving_of_two_gateways_leaves_a_pair_one_reading(sweeping: bool):
    await asyncio.gather(*(race(seed, sweeping=sweeping) for seed in range(150)))


async def race(seed: int, *, sweeping: bool) -> None:
    turn = random_turns(seed)
    objects, dropped, readings = MemoryStore(turn), MemoryStore(turn), [Readings(), Readings()]
    # It is the order of steps that is looked at: no clock may end any of them.
    gateways = [
        storing_gateway(objects, dropped, own, turn=turn, waiting_deadline_s=0) for own in readings
    ]
    outcomes: list[Outcome] = []

    async def send(key: str, data: bytes) -> None:
        await turn()
        await dropped.replace(key, data, media_type="")
        outcomes.extend(await asyncio.gather(*(until_done(gateway, key) for gateway in gateways)))

    async def sweep(gateway: DropFolderGateway) -> None:
        while sweeping and len(outcomes) < 4:
            await gateway.sweep()

    await asyncio.gather(
        send(IMAGE, PNG), send(SIDECAR, sidecar("S1")), *(sweep(gateway) for gateway in gateways)
    )
    assert 1 <= sum(own.inferences.total() for own in readings) <= 2, seed
    assert max(own.inferences.total() for own in readings) == 1, seed  # inside of a process
    assert 1 <= outcomes.count(Outcome.PROCESSED) <= 2 or sweeping, seed
    await check_one_reading(objects)


@pytest.mark.long
@pytest.mark.parametrize("redelivered", [True, False], ids=["redelivered", "swept"])
async def test_gateway_may_die_at_any_step(redelivered: bool):
    died = 0
    for step in range(60):
        objects, dropped, readings = MemoryStore(no_turn), MemoryStore(no_turn), Readings()
        put(dropped, a_png=PNG)
        heir = storing_gateway(objects, dropped, readings)
        await heir.deliver(IMAGE)
        put(dropped, a_json=sidecar("S1"))
        mortal = MortalStore(objects.objects, step)
        delivery = storing_gateway(mortal, dropped, readings).deliver(SIDECAR)
        died += await mortal.kills(delivery)
        if redelivered:
            assert (await heir.deliver(SIDECAR)).outcome in {Outcome.PROCESSED, Outcome.DUPLICATE}
        await heir.sweep()
        assert readings.inferences.total() <= 2, step
        await check_one_reading(objects, orphans=True)
    assert 6 < died < 60  # it came to its end, too


@pytest.mark.parametrize("seed", range(10))
async def test_deliveries_of_a_pair_inside_a_process_cost_one_inference(
    dropped: MemoryStore, readings: Readings, seed: int
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    turn = random_turns(seed)
    gateway = storing_gateway(MemoryStore(turn), dropped, readings, turn=turn)
    deliveries = await asyncio.gather(*(gateway.deliver(key) for key in (IMAGE, SIDECAR) * 3))
    assert sorted(delivery.outcome for delivery in deliveries) == ["duplicate"] * 5 + ["processed"]
    assert readings.inferences.total() == 1


async def test_deliveries_that_wait_for_their_pair_take_no_turn_from_others(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    held = asyncio.Event()

    async def turn() -> None:
        if readings.inferences.total() == 1:  # the first
            await held.wait()

    pairing = storing_gateway(objects, dropped, readings, turn=turn)
    for study in ("S1", "S2"):
        dropped.objects |= {f"images/{study}/a.png": PNG, f"images/{study}/a.json": sidecar(study)}
    waiting = [asyncio.create_task(pairing.deliver(IMAGE)) for _ in range(40)]  # of 16 turns
    await until(lambda: readings.inferences.total() == 1)
    assert (await pairing.deliver("images/S2/a.png")).outcome is Outcome.PROCESSED
    held.set()
    outcomes = [delivery.outcome for delivery in await asyncio.gather(*waiting)]
    assert sorted(outcomes) == ["duplicate"] * 39 + ["processed"]
