"""Pointers lead from identifiers to studies, and tell nobody of the patient."""

import datetime as dt

from gateway.search.query import DateRange
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore

NOW = dt.datetime.now(dt.UTC)
TODAY = NOW.date()


def ago(**time: float) -> dt.datetime:
    return NOW - dt.timedelta(**time)


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


async def test_no_key_tells_of_the_patient(gateway: IndexingGateway, objects: MemoryStore):
    await gateway.receive("S1", patient_id="PAT-1", accession_number="ACC-1")
    await gateway.write()
    assert not [key for key in objects.objects if "PAT-1" in key or "ACC-1" in key]
