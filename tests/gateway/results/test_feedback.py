"""Judgements against results, and in a study's record."""

import datetime as dt

import pytest

from gateway.errors import Fault, InvalidFeedbackError
from gateway.results.documents import StudyRecord
from gateway.results.feedback import judged, with_feedback
from gateway.schemas.feedback import FeedbackRequest, Judgement
from gateway.schemas.metadata import ModelReference
from gateway.schemas.result import (
    Applicability,
    Finding,
    ImageResult,
    ModelDescription,
    ReadingResult,
    Status,
    StudyResult,
    Verdict,
)

NOW = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)


def reading(version: str, *, positive: bool | None) -> ReadingResult:
    return ReadingResult(
        model=ModelDescription(name="chest", version=version),
        applicable=Applicability(verdict=Verdict.APPLICABLE),
        findings=(Finding(label="pneumonia", probability=0.5, threshold=0.5, positive=positive),),
        completed_at=NOW,
        timings_ms={},
    )


def result(*images: tuple[ReadingResult, ...], superseded: int = 0) -> StudyResult:
    return StudyResult(
        study_id="S",
        status=Status.COMPLETED,
        received_at=NOW,
        images=tuple(
            ImageResult(
                number=number,
                sha256=str(number),
                media_type="image/png",
                rows=1,
                columns=1,
                bits_stored=8,
                preview="",
                received_at=NOW,
                readings=readings,
                superseded_by="other" if number == superseded else None,
            )
            for number, readings in enumerate(images, 1)
        ),
    )


def sent(judgement: str, model: str | None = None, author: str | None = None) -> FeedbackRequest:
    return FeedbackRequest(
        label="pneumonia",
        judgement=Judgement(judgement),
        author=author,
        model=ModelReference(name="chest", version=model) if model else None,
    )


@pytest.mark.parametrize(
    ("positive", "judgement", "present"),
    [
        (True, "agree", True),
        (True, "disagree", False),
        (False, "agree", False),
        (False, "disagree", True),
        (True, "absent", False),
        (False, "present", True),
        (None, "present", True),
    ],
)
def test_who_agrees_says_what_the_model_says(positive: bool | None, judgement: str, present: bool):
    study = result((reading("1", positive=positive),))
    item = judged(study, sent(judgement), "ris")
    assert (item.present, item.judgement, item.author) == (present, judgement, "ris")


def test_a_study_has_what_any_image_that_counts_has():
    images = (reading("1", positive=False),), (reading("1", positive=True),)
    assert judged(result(*images), sent("agree"), "ris").present
    assert not judged(result(*images, superseded=2), sent("agree"), "ris").present


def test_where_models_differ_one_is_named():
    study = result((reading("1", positive=False), reading("2", positive=True)))
    with pytest.raises(InvalidFeedbackError) as caught:
        judged(study, sent("agree"), "ris")
    assert [fault.pointer for fault in caught.value.faults] == ["/model"]
    assert judged(study, sent("agree", "2"), "ris").present
    assert not judged(study, sent("agree", "1"), "ris").present
    assert judged(study, sent("present"), "ris").present


def test_of_no_verdict_there_is_no_agreement():
    with pytest.raises(InvalidFeedbackError) as caught:
        judged(result((reading("1", positive=None),)), sent("agree"), "ris")
    assert [fault.pointer for fault in caught.value.faults] == ["/judgement"]
    with pytest.raises(InvalidFeedbackError) as caught:
        judged(result(), sent("present"), "ris")
    assert caught.value.faults == (Fault("/label", "is no label of the study's findings: none"),)


def test_the_latest_judgement_of_an_author_counts_and_their_number_is_bounded():
    study, record = result((reading("1", positive=True),)), StudyRecord.begun("S")
    for author, judgement in (("A", "agree"), ("B", "agree"), ("A", "disagree")):
        record = with_feedback(record, judged(study, sent(judgement, author=author), "ris"))
    assert [(item.author, item.present) for item in record.feedback] == [("B", True), ("A", False)]
    for number in range(30):
        item = judged(study, sent("agree", author=f"R{number}"), "ris")
        record = with_feedback(record, item)
    with pytest.raises(InvalidFeedbackError):
        with_feedback(record, judged(study, sent("agree", author="C"), "ris"))
    again = with_feedback(record, judged(study, sent("agree", author="A"), "ris"))
    assert len(again.feedback) == 32


def test_the_same_judgement_again_changes_nothing():
    study, record = result((reading("1", positive=True),)), StudyRecord.begun("S")
    for author, judgement in (("A", "absent"), ("B", "present")):
        record = with_feedback(record, judged(study, sent(judgement, author=author), "ris"))
    again = with_feedback(record, judged(study, sent("absent", author="A"), "ris"))
    assert again is record
    assert [(item.author, item.present) for item in again.feedback] == [("A", False), ("B", True)]
