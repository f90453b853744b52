"""Deleted studies: gone from every answer, and from every object of the index."""

import datetime as dt

import pytest

from gateway.results.tombstone import Reason
from gateway.search.day_file import DayFile
from tests.support.deletion import deletion_on
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def gateway(objects: MemoryStore) -> IndexingGateway:
    return IndexingGateway(objects)


def indexed(objects: MemoryStore) -> set[str]:
    """Studies that any object of the index names."""
    files = [DayFile.of(key, data) for key, data in objects.objects.items() if ".jsonl" in key]
    pointers = {key.rsplit(".", 2)[1] for key in objects.objects if "/by/" in key}
    return pointers | {name for file in files for name in file.entries}


@pytest.mark.parametrize("is_merged", [False, True])
async def test_deleted_study_is_found_no_more_and_leaves_no_entry(
    gateway: IndexingGateway, objects: MemoryStore, *, is_merged: bool
):
    for study_id in ("S1", "S2"):
        await gateway.receive(study_id, patient_id="P1", accession_number=f"A-{study_id}")
    await gateway.write()
    if is_merged:
        await gateway.index.writer.merge()
    deletion = deletion_on(objects, entries=gateway.index.removal)
    await deletion.delete("S1", Reason.REQUEST)
    assert await gateway.found(patient_id="P1") == ["S2"]
    await gateway.write()
    assert await gateway.found() == ["S2"]
    assert indexed(objects) == {"S2"}


async def test_entry_written_after_the_deletion_goes_before_the_deletion_ends(
    gateway: IndexingGateway, objects: MemoryStore
):
    await gateway.receive("S0", patient_id="P1")
    await gateway.write()
    await gateway.receive("S1", patient_id="P1")  # its entry is written by a slow gateway
    await deletion_on(objects).delete("S1", Reason.REQUEST)
    await gateway.write()
    await gateway.index.writer.merge()
    assert indexed(objects) == {"S0", "S1"}
    await deletion_on(objects, closed_s=0.0).sweep()
    assert indexed(objects) == {"S0"}
    assert await gateway.found() == ["S0"]


async def test_study_with_a_damaged_document_is_removed_wherever_it_stands(
    gateway: IndexingGateway, objects: MemoryStore
):
    at = dt.datetime.now(dt.UTC) - dt.timedelta(days=100)
    await gateway.receive("S1", at)
    await gateway.write()
    objects.objects["results/S1/result.json"] = b"{"
    await deletion_on(objects, entries=gateway.index.removal).delete("S1", Reason.REQUEST)
    await gateway.write()
    assert indexed(objects) == set()


async def test_studies_deleted_one_after_the_other_are_removed_at_one_go(
    gateway: IndexingGateway, objects: MemoryStore
):
    for number in range(40):
        await gateway.receive(f"S{number:02}")
    await gateway.write()
    await gateway.index.writer.merge()
    deletion = deletion_on(objects, entries=gateway.index.removal)
    for number in range(39):
        await deletion.delete(f"S{number:02}", Reason.RETENTION)
    objects.calls.clear()
    await gateway.write()
    assert len([key for call, key in objects.calls if call == "swap"]) == 1
    assert await gateway.found() == ["S39"]


async def test_study_that_came_again_is_found_again(gateway: IndexingGateway, objects: MemoryStore):
    await gateway.receive("S1", patient_id="P1")
    await gateway.write()
    deletion = deletion_on(objects, entries=gateway.index.removal, closed_s=0.0)
    await deletion.delete("S1", Reason.REQUEST)
    await deletion.sweep()
    await gateway.receive("S1", patient_id="P1")
    await IndexingGateway(objects).index.writer.add(
        list((await gateway.page(study_ids=("S1",))).entries)
    )
    assert await gateway.found() == await gateway.found(patient_id="P1") == ["S1"]
