"""Who a study is about is written once, under keys that stay, and never contradicted."""

import datetime as dt
import json
from typing import Any

import pytest

from gateway.errors import StudyConflictError
from gateway.results.identity import Identities, Known
from gateway.schemas.metadata import StudyMetadata
from tests.support.store import MemoryStore

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def metadata(**fields: Any) -> StudyMetadata:
    document = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"}
    return StudyMetadata.model_validate(document | fields)


async def test_later_documents_add_what_none_told_before():
    objects = MemoryStore()
    identities = Identities(objects)
    first, is_new = await identities.claim(metadata(patient_id="P1"), NOON, Known())
    assert (first.identity["patient_id"], is_new) == ("P1", True)
    known = await identities.known("S1")
    again = await identities.claim(metadata(patient_id="P1"), NOON, known)
    later = await identities.claim(metadata(accession_number="Ä1"), NOON, known)
    assert again == later == (first, False)
    assert sorted(objects.objects) == ["results/S1/identity/1.json", "results/S1/study.json"]
    told = json.loads(objects.objects["results/S1/identity/1.json"])
    assert told == {"accession_number": "Ä1"}
    known = await identities.known("S1")
    assert (known.identity, known.claims) == ({"patient_id": "P1", "accession_number": "Ä1"}, 1)


async def test_a_document_that_came_first_is_not_contradicted_by_one_that_saw_none():
    objects = MemoryStore()
    identities = Identities(objects)
    await identities.claim(metadata(patient_id="P1"), NOON, Known())
    with pytest.raises(StudyConflictError):
        await identities.claim(metadata(patient_id="P2"), NOON, Known())
    assert list(objects.objects) == ["results/S1/study.json"]
