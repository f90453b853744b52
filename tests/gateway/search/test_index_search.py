"""Answers of the search: the studies, their order, the range, and the requests it takes."""

import datetime as dt
from typing import Any

import pytest

from gateway.results.documents import PendingImages, StudyRecord
from gateway.schemas.result import Status
from gateway.search.query import DateRange, Position, StudyQuery
from gateway.storage.protocol import ObjectStore
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore

NOW = dt.datetime.now(dt.UTC)
TODAY = NOW.date()


def ago(**time: float) -> dt.datetime:
    return NOW - dt.timedelta(**time)


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def gateway(objects: MemoryStore) -> IndexingGateway:
    return IndexingGateway(objects)


async def test_studies_of_the_last_seven_days_are_found_newest_first(gateway: IndexingGateway):
    for days in (0, 1, 6, 7):
        await gateway.receive(f"S{days}", ago(days=days))
    await gateway.write()
    page = await gateway.page()
    assert [entry.study_id for entry in page.entries] == ["S0", "S1", "S6"]
    assert page.searched == DateRange(TODAY - dt.timedelta(days=6), TODAY)
    assert page.next is None


async def test_other_range_is_searched_where_it_is_asked_for(gateway: IndexingGateway):
    for days in (5, 40, 41):
        await gateway.receive(f"S{days}", ago(days=days))
    await gateway.write()
    asked = DateRange(TODAY - dt.timedelta(days=40), TODAY - dt.timedelta(days=6))
    assert await gateway.found(received=asked) == ["S40"]
    too_long = DateRange(TODAY - dt.timedelta(days=366), TODAY)
    with pytest.raises(ValueError, match="366"):
        await gateway.page(received=too_long)


@pytest.mark.parametrize(
    "query",
    [
        {"study_ids": ("S1",)},
        {"study_instance_uids": ("1.2.3", "1.2.4")},
        {"patient_id": "P1"},
        {"accession_number": "A1"},
        {"senders": ("pacs",)},
        {"routes": ("stow", "dimse")},
        {"states": (Status.COMPLETED,), "modalities": ("CR", "DX")},
        {"body_parts": ("CHEST",)},
        {"positive": ("bright",)},
        {"study_dates": DateRange(TODAY, TODAY)},
        {"accepts": lambda entry: entry.study_id == "S1"},
    ],
    ids="-".join,
)
async def test_each_condition_finds_the_study_that_meets_it(
    gateway: IndexingGateway, query: dict[str, Any]
):
    await gateway.receive(
        "S1",
        ago(seconds=1),
        positive=True,
        reading={
            "study_instance_uid": "1.2.3",
            "series_instance_uid": "1.2.3.1",
            "sender": "pacs",
            "route": "dimse",
        },
        patient_id="P1",
        accession_number="A1",
        modality="DX",
        body_part="CHEST",
        study_date=TODAY.isoformat(),
    )
    await gateway.receive("S2", patient_id="P2", accession_number="A2", modality="CT")
    await gateway.write()
    assert await gateway.found() == ["S2", "S1"]
    assert await gateway.found(**query) == ["S1"]
    [entry] = (await gateway.page(**query)).entries
    assert entry.series == {"1.2.3.1": 1}


async def test_identifiers_are_found_however_old_the_study_is(gateway: IndexingGateway):
    uid = {"study_instance_uid": "1.2.3"}
    await gateway.receive("S1", ago(days=900), patient_id="P1", reading=uid)
    await gateway.receive("1.2.4", ago(days=901), patient_id="P1", accession_number="A1")
    await gateway.write()
    assert (await gateway.page(patient_id="P1")).searched is None
    assert await gateway.found(patient_id="P1") == ["S1", "1.2.4"]
    assert await gateway.found(patient_id="P1", accession_number="A1") == ["1.2.4"]
    assert await gateway.found(study_instance_uids=("1.2.3",)) == ["S1"]
    asked = DateRange(TODAY - dt.timedelta(days=901), TODAY - dt.timedelta(days=901))
    assert await gateway.found(patient_id="P1", received=asked) == ["1.2.4"]


async def test_pages_follow_one_another_without_a_gap(gateway: IndexingGateway):
    for number in range(7):
        await gateway.receive(f"S{number}", ago(hours=12 * (number // 2)), patient_id="P1")
    await gateway.write()
    for query in (StudyQuery(), StudyQuery(patient_id="P1")):
        found: list[str] = []
        after: Position | None = None
        for _ in range(4):
            page = await gateway.index.search.find(query, limit=2, after=after)
            found += [entry.study_id for entry in page.entries]
            after = page.next and Position.parse(str(page.next))
        assert found == ["S1", "S0", "S3", "S2", "S5", "S4", "S6"]
        assert after is None


async def test_later_state_of_a_study_counts(gateway: IndexingGateway, objects: ObjectStore):
    other = IndexingGateway(objects)
    await gateway.receive("S1", modality="DX")
    await other.receive("S1", modality="CR")
    await other.write()
    await gateway.write()  # of the older state: it remembers no other
    for _ in range(2):
        [entry] = (await gateway.page()).entries
        assert (entry.images, entry.modalities) == (2, ("DX", "CR"))
        await gateway.index.writer.merge()
        await other.index.writer.merge()


async def test_no_key_tells_of_the_patient(gateway: IndexingGateway, objects: MemoryStore):
    await gateway.receive("S1", patient_id="PAT-1", accession_number="ACC-1")
    await gateway.write()
    assert not [key for key in objects.objects if "PAT-1" in key or "ACC-1" in key]


async def test_burst_of_a_study_is_written_once(gateway: IndexingGateway, objects: MemoryStore):
    for _ in range(300):
        await gateway.receive("S1", patient_id="P1")
    await gateway.write()
    written = [key for call, key in objects.calls if call == "create" and "index/" in key]
    assert len(written) == 3  # the key of the hashes, the pointer, the entry
    assert (await gateway.page()).entries[0].images == 300


async def test_paged_study_has_the_attributes_of_all_its_images(gateway: IndexingGateway):
    uids = {"study_instance_uid": "1.2", "series_instance_uid": "1.2.1"}
    for number in range(200):
        modality = "DX" if number else "CR"
        await gateway.receive("1.2", modality=modality, reading=uids, study_date="2026-01-31")
    record = await gateway.results.record("1.2")
    assert record is not None
    assert record.pages
    await gateway.write()
    [entry] = (await gateway.page()).entries
    assert entry.modalities == ("CR", "DX")
    assert (entry.series, entry.images) == ({"1.2.1": 200}, 200)
    assert entry.study_date == dt.date(2026, 1, 31)


async def test_study_is_found_while_it_is_pending_and_no_more_once_it_is_discarded(
    gateway: IndexingGateway,
):
    begun = StudyRecord.begun("S1").changed(
        received_at=NOW, pending=(PendingImages(id="1", images=1),), identity={"patient_id": "P1"}
    )
    await gateway.documents.change("S1", lambda record: record or begun)
    await gateway.write()
    assert await gateway.found(states=(Status.PENDING,)) == ["S1"]
    assert await gateway.found(patient_id="P1") == ["S1"]
    await gateway.documents.change("S1", lambda record: (record or begun).changed(pending=()))
    for _ in range(2):
        await gateway.write()
    assert await gateway.found() == await gateway.found(patient_id="P1") == []


async def test_probes_are_not_indexed(gateway: IndexingGateway):
    await gateway.receive("radstream-probe-1")
    await gateway.write()
    assert await gateway.found() == []
