import pytest

from gateway.results.documents import StudyRecord
from gateway.results.joins import OnPages, Request, joining
from gateway.results.view import study_result
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.not_processed import NotProcessed
from gateway.schemas.problem import Problem
from gateway.studies.answer import Answer
from tests.support.readings import NOON, reading

BAD = NotProcessed(
    part="image[1]",
    sha256="00",
    problem=Problem(type="urn:radstream:problem:x", title="Damaged", status=422, detail="Mend it."),
)


def record(*models: str) -> StudyRecord:
    document = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"}
    fresh = [reading(1, model={"name": name, "version": "1"}) for name in models]
    request = Request(StudyMetadata.model_validate(document), NOON, fresh, {})
    return joining(request, OnPages())(None)


@pytest.mark.parametrize(
    ("replayed", "bad", "outcome"),
    [
        (False, (), "completed"),
        (True, (), "replayed"),
        (False, (BAD,), "partial"),
        (True, (BAD,), "partial"),
    ],
)
def test_outcome(replayed: bool, bad: tuple[NotProcessed, ...], outcome: str):
    stored = record("cxr")
    answer = Answer(study_result(stored), replayed, stored, not_processed=bad)
    assert answer.outcome == outcome


def test_models_are_those_of_all_readings():
    stored = record("cxr", "other")
    assert Answer(study_result(stored), replayed=False, record=stored).models == {"cxr", "other"}
