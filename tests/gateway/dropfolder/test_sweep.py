"""Sweeps take up what was left, and park what waited too long."""

import datetime as dt

import pytest
from structlog.testing import capture_logs

from gateway.dropfolder.documents import WaitingHalf
from gateway.errors import (
    ObjectNotReadableError,
)
from gateway.problems import problem_of
from gateway.schemas.events import Outcome
from gateway.storage.protocol import Reserve
from gateway.work.parked import ParkedCount, Parking
from tests.support.dicom import file_of, radiograph
from tests.support.pairing import (
    IMAGE,
    PNG,
    SIDECAR,
    DropFolderGateway,
    Readings,
    gateway_on,
    left_of,
    put,
    sidecar,
)
from tests.support.store import MemoryStore


@pytest.mark.parametrize(("key", "missing"), [(IMAGE, "sidecar"), (SIDECAR, "image")])
async def test_half_that_waited_too_long_is_parked_and_still_taken_up(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings, key: str, missing: str
):
    pairing = gateway_on(objects, dropped, readings, waiting_deadline_s=0)
    files = {IMAGE: PNG, SIDECAR: sidecar("S1")}
    dropped.objects[key] = files.pop(key)
    await pairing.deliver(key)
    await pairing.sweep()
    [item] = await Parking(objects, problem_of).items(after="", limit=9)
    assert (item.key, item.problem.status) == (key, 422)
    assert f"No {missing} came" in item.problem.detail
    assert left_of(objects, "pairing/") == []
    dropped.objects |= files
    [other] = files
    assert (await pairing.deliver(other)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


class ClosedStore(MemoryStore):
    """A drop folder some of whose files are closed to the gateway."""

    def __init__(self, *closed: str) -> None:
        super().__init__()
        self.closed = set(closed)

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        if key in self.closed:
            raise ObjectNotReadableError("permission denied")
        return await super().read(
            key, limit_bytes=limit_bytes, version_id=version_id, reserve=reserve
        )


@pytest.mark.parametrize("closed", [IMAGE, SIDECAR])
@pytest.mark.parametrize("first", [IMAGE, SIDECAR])
async def test_pair_of_a_file_that_cannot_be_read_waits_and_is_parked_for_its_true_reason(
    objects: MemoryStore, readings: Readings, closed: str, first: str
):
    dropped = ClosedStore(closed)
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    patient = gateway_on(objects, dropped, readings)
    assert (await patient.deliver(first)).outcome is Outcome.WAITING
    await patient.sweep()
    assert left_of(objects, "parked/") == []
    late = gateway_on(objects, dropped, readings, waiting_deadline_s=0)
    await late.sweep()
    await late.sweep()
    [item] = await Parking(objects, problem_of).items(after="", limit=9)
    assert (item.problem.type, item.study_id) == ("urn:radstream:problem:object-not-readable", "S1")
    assert "permission denied" in (item.problem.detail or "")
    assert left_of(objects, "pairing/") == []
    assert (await patient.retry(item.id)).outcome is Outcome.PARKED
    dropped.closed.clear()
    assert (await patient.deliver(closed)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


async def test_closed_file_whose_name_does_not_tell_waits_until_it_can_be_looked_at(
    objects: MemoryStore, readings: Readings
):
    dropped = ClosedStore("images/S1/README")
    dropped.objects["images/S1/README"] = b"Send files here."
    pairing = gateway_on(objects, dropped, readings)
    assert (await pairing.deliver("images/S1/README")).outcome is Outcome.WAITING
    dropped.closed.clear()
    await pairing.sweep()
    assert left_of(objects) == []


async def test_sweep_takes_up_a_pair_whose_second_event_was_lost(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG)
    await pairing.deliver(IMAGE)
    put(dropped, a_json=sidecar("S1"))
    await pairing.sweep()
    assert readings.inferences.total() == 1
    assert left_of(objects) == []


async def test_dicom_file_that_is_taken_away_while_it_waits_is_forgotten(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    dropped.objects["images/S1/a.dcm"] = file_of(radiograph(ViewPosition="", PatientID="A\t1"))
    assert (await pairing.deliver("images/S1/a.dcm")).outcome is Outcome.WAITING
    del dropped.objects["images/S1/a.dcm"]
    with capture_logs() as lines:
        await gateway_on(objects, dropped, readings, waiting_deadline_s=0).sweep()
    assert [line["outcome"] for line in lines if "outcome" in line] == ["ignored"]
    assert left_of(objects) == []


async def test_dicom_file_that_could_not_be_read_at_first_is_told_as_failed_once(
    objects: MemoryStore, readings: Readings
):
    key = "images/S1/a.dcm"
    dropped = ClosedStore(key)
    dropped.objects[key] = file_of(radiograph(ViewPosition="", PatientID="A\t1"))
    pairing = gateway_on(objects, dropped, readings)
    assert (await pairing.deliver(key)).outcome is Outcome.WAITING
    await pairing.sweep()
    [first] = await pairing.folder.records.waiting.all()
    dropped.closed.clear()
    with capture_logs() as lines:
        for _ in range(3):
            await pairing.sweep()
    assert [line["event"] for line in lines].count("study.failed") == 1
    [half] = await pairing.folder.records.waiting.all()
    assert (first.needs_other, half.needs_other, half.since) == (False, True, first.since)


def ago(seconds: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)


async def test_oldest_half_and_oldest_parked_item_tell_their_age(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    def sample(name: str) -> float | None:
        return pairing.metrics.registry.get_sample_value(f"radstream_dropfolder_{name}")

    put(dropped, a_png=PNG, b_png=PNG)
    for name, since in (("a", ago(300)), ("b", ago(100))):
        await pairing.deliver(f"images/S1/{name}.png")
        [key] = [
            key
            for key, data in objects.objects.items()
            if key.startswith("pairing/waiting/") and f"S1/{name}.png" in data.decode()
        ]
        half = WaitingHalf.model_validate_json(objects.objects[key])
        since_then = half.model_copy(update={"since": since})
        objects.objects[key] = since_then.model_dump_json(by_alias=True).encode()
    await pairing.sweep()
    assert sample("waiting") == 2
    assert 300 <= (sample("waiting_oldest_age_seconds") or 0) < 400
    put(dropped, a_json=sidecar("S1"), b_json=b"{}")
    for name in "ab":
        await pairing.deliver(f"images/S1/{name}.json")
    await pairing.sweep()
    assert (sample("waiting"), sample("waiting_oldest_age_seconds")) == (0, 0)

    parking = Parking(objects, problem_of)
    count = ParkedCount(parking, pairing.metrics.dropfolder.keep_parked)
    [item] = await parking.items(after="", limit=9)
    parked_then = item.model_copy(update={"parked_at": ago(100)})
    objects.objects[parking.key(item)] = parked_then.model_dump_json(by_alias=True).encode()
    await count.sweep()
    assert sample("parked") == 1
    assert 100 <= (sample("parked_oldest_age_seconds") or 0) < 200
    objects.calls.clear()
    await count.sweep()
    assert [call for call, _ in objects.calls] == ["keys"]
    await parking.discard(item.id)
    await count.sweep()
    assert (sample("parked"), sample("parked_oldest_age_seconds")) == (0, 0)
