"""Who a study is about is never contradicted."""

from typing import Any

import pytest

from gateway.errors import StudyConflictError
from gateway.results.identity import compare, given
from gateway.schemas.metadata import StudyMetadata


def metadata(**fields: Any) -> StudyMetadata:
    document = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"}
    return StudyMetadata.model_validate(document | fields)


def test_only_what_a_document_states_is_given():
    assert given(metadata()) == {}
    both = {"patient_id": "P1", "accession_number": "Ä1"}
    assert given(metadata(**both)) == both


def test_what_nobody_stated_contradicts_nothing():
    compare(metadata(patient_id="P1"), {"patient_id": None})
    compare(metadata(patient_id="P1"), {"accession_number": "A1"})
    compare(metadata(), {"patient_id": "P1"})
    with pytest.raises(StudyConflictError):
        compare(metadata(patient_id="P1"), {"patient_id": "P2"})
