"""Who a study is about is never contradicted."""

from typing import Any

import pytest

from gateway.errors import StudyConflictError
from gateway.results.documents import StudyRecord
from gateway.results.identity import compare, given, is_correction, joined
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


def record(**news: Any) -> StudyRecord:
    return StudyRecord.begun("S1").changed(images=1, **news)


def test_a_correction_replaces_what_it_states_and_keeps_what_was_before():
    before = record(identity={"patient_id": "P1", "accession_number": "A1"})
    corrected = metadata(patient_id="P2")
    with pytest.raises(StudyConflictError):
        joined(corrected, before)
    after = before.changed(**joined(corrected, before, corrects=True))
    assert after.identity == {"patient_id": "P2", "accession_number": "A1"}
    assert after.former == (before.identity,)
    assert is_correction(corrected, before, after, corrects=True)


def test_what_comes_under_a_corrected_identity_joins_and_corrects_nothing():
    merged = record(identity={"patient_id": "P2"}, former=({"patient_id": "P1"},))
    assert merged.changed(**joined(metadata(patient_id="P1"), merged)).identity == merged.identity
    with pytest.raises(StudyConflictError):
        joined(metadata(patient_id="P3"), merged)


def test_what_agrees_is_no_correction_though_its_sender_may_correct():
    before = record(identity={"patient_id": "P1"})
    same = metadata(patient_id="P1", accession_number="A1")
    after = before.changed(**joined(same, before, corrects=True))
    assert after.identity == {"patient_id": "P1", "accession_number": "A1"}
    assert after.former == ()
    assert not is_correction(same, before, after, corrects=True)


def test_corrections_beyond_eight_are_forgotten():
    study = record(identity={"patient_id": "P0"})
    for number in range(1, 12):
        correction = metadata(patient_id=f"P{number}")
        study = study.changed(**joined(correction, study, corrects=True))
    assert [former["patient_id"] for former in study.former] == [f"P{n}" for n in range(3, 11)]
