"""Index and documents: what a killed gateway left out is found again, and an index is made anew."""

import datetime as dt

import pytest

from gateway.search.keys import KEY_KEY
from gateway.storage.protocol import ObjectStore
from gateway.verification.findings import Kind
from gateway.verification.search_index import index_findings
from tests.support.search import IndexingGateway


@pytest.fixture(params=["folder_store", "memory_store", "s3_store"])
def objects(request: pytest.FixtureRequest) -> ObjectStore:
    opened: ObjectStore = request.getfixturevalue(request.param)
    return opened


async def filled(objects: ObjectStore) -> IndexingGateway:
    """Studies of the last days, indexed."""
    gateway = IndexingGateway(objects)
    now = dt.datetime.now(dt.UTC)
    for days in range(4):
        at = now - dt.timedelta(days=days)
        await gateway.receive(f"S{days}", at, patient_id="P1", accession_number=f"A{days}")
    await gateway.write()
    return gateway


async def answers(gateway: IndexingGateway) -> list[object]:
    by_day, by_patient = await gateway.page(), await gateway.page(patient_id="P1")
    by_order = [await gateway.found(accession_number=f"A{days}") for days in range(4)]
    return [by_day.entries, by_patient.entries, by_order]


async def kinds(objects: ObjectStore) -> list[Kind]:
    return [finding.kind async for finding in index_findings(objects)]


async def aged(gateway: IndexingGateway, study_id: str, **update: object) -> None:
    """Change a document as it was ten minutes ago, which no entry tells."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10)
    await gateway.documents.change(
        study_id, lambda record: record.model_copy(update={"changed_at": at, **update})
    )


async def test_index_that_was_deleted_gives_the_same_answers_once_it_is_made_anew(
    objects: ObjectStore,
):
    gateway = await filled(objects)
    before = await answers(gateway)
    assert before[0]
    await objects.purge("index/")
    assert await gateway.found() == []
    other = IndexingGateway(objects)
    counts = await other.index.reconciliation.reindex()
    assert counts == {"missing": 4, "stale": 0, "gone": 0, "same": 0}
    assert await answers(other) == before
    assert not [key for key in await objects.keys("index/") if "new-" in key]


async def test_damaged_objects_are_told_and_made_anew(objects: ObjectStore):
    gateway = await filled(objects)
    await gateway.index.writer.merge()
    before = await answers(gateway)
    assert await kinds(objects) == []
    for key in await objects.keys("index/"):
        if key.endswith(".gz") or key == KEY_KEY:
            await objects.replace(key, b"{", media_type="application/json")
    assert await kinds(objects) == [Kind.UNREADABLE_DOCUMENT] * 5
    other = IndexingGateway(objects)
    await other.index.reconciliation.reindex()
    assert await answers(other) == before
    assert await kinds(objects) == []


async def test_study_without_an_entry_is_found_by_the_next_gateway_that_starts(
    objects: ObjectStore,
):
    gateway = await filled(objects)
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=300)
    await gateway.receive("LOST", old, patient_id="P2")  # its gateway is killed here
    await aged(gateway, "LOST")
    assert await kinds(objects) == [Kind.MISSING_ENTRY]
    other = IndexingGateway(objects)
    assert await other.found(patient_id="P2") == []
    await other.index.reconciliation.sweep()
    assert await other.found(patient_id="P2") == ["LOST"]
    assert await kinds(objects) == []


async def test_stale_entry_of_a_recent_study_is_corrected(objects: ObjectStore):
    gateway = await filled(objects)
    await aged(gateway, "S0", images=5)
    await aged(gateway, "S3", identity={"patient_id": "P3"})  # such as a version restored
    assert sorted(await kinds(objects)) == [Kind.STALE_ENTRY] * 4  # two entries, two pointers
    other = IndexingGateway(objects)
    counts = await other.index.reconciliation.mend(recent_days=2)
    assert counts["stale"] == 1
    counts = await other.index.reconciliation.reindex()
    assert counts["stale"] == 1
    assert await other.found(patient_id="P3") == ["S3"]
    assert await kinds(objects) == []


async def test_entry_without_a_study_is_removed(objects: ObjectStore):
    await filled(objects)
    await objects.purge("results/S3/")
    assert Kind.STALE_ENTRY in await kinds(objects)
    other = IndexingGateway(objects)
    await other.index.reconciliation.sweep()
    assert await other.found() == ["S0", "S1", "S2"]
    await other.index.reconciliation.reindex()
    assert await kinds(objects) == []


async def test_study_whose_document_is_damaged_keeps_its_entry(objects: ObjectStore):
    gateway = await filled(objects)
    await objects.replace("results/S1/result.json", b"{", media_type="application/json")
    counts = await gateway.index.reconciliation.reindex()
    assert counts["gone"] == 0
    assert "S1" in await gateway.found()


async def test_one_gateway_reconciles_each_day(objects: ObjectStore):
    await filled(objects)
    gateways = [IndexingGateway(objects) for _ in range(2)]
    for gateway in gateways:
        await gateway.index.reconciliation.sweep()
    await gateways[0].receive("LOST")
    for gateway in gateways:
        await gateway.index.reconciliation.sweep()
        assert "LOST" not in await gateway.found()
    await objects.delete("index/reconciled.json")
    await gateways[0].index.reconciliation.sweep()
    assert "LOST" in await gateways[0].found()
