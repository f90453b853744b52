"""Feedback on studies: judgements held against results, and kept in the study's document."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from gateway.errors import Fault, InvalidFeedbackError
from gateway.schemas.feedback import Feedback, Judgement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.results.documents import StudyRecord
    from gateway.schemas.feedback import FeedbackRequest
    from gateway.schemas.metadata import ModelReference
    from gateway.schemas.result import Finding, ModelVersion, StudyResult

# A document stays small; no study is read by more people.
_MOST = 32


def judged(result: StudyResult, sent: FeedbackRequest, caller: str) -> Feedback:
    """Return a judgement as it is kept.

    Parameters
    ----------
    result
        The study's, with all its images.
    caller
        Name of the caller, who is the author where no other is named.

    Raises
    ------
    InvalidFeedbackError
        No reading has such a finding; or what is agreed with is not known.
    """
    return Feedback(
        label=sent.label,
        judgement=sent.judgement.value,
        present=_is_present(result, sent),
        author=sent.author or caller[:64],
        source=sent.source.value,
        at=dt.datetime.now(dt.UTC),
    )


def with_feedback(record: StudyRecord, item: Feedback) -> StudyRecord:
    """Return the record with a judgement in the place of its author's earlier one on the label.

    The same judgement again changes nothing: its author's place among the others stays, too.

    Raises
    ------
    InvalidFeedbackError
        The study has as many as are kept.
    """
    if any(other.model_copy(update={"at": item.at}) == item for other in record.feedback):
        return record
    kept = tuple(
        other
        for other in record.feedback
        if (other.author, other.label) != (item.author, item.label)
    )
    if len(kept) >= _MOST:
        raise InvalidFeedbackError((Fault("", f"the study has {_MOST} judgements already"),))
    return record.changed(feedback=(*kept, item))


def findings_of(result: StudyResult) -> Iterator[tuple[ModelVersion, Finding]]:
    """Yield every finding of the images that count, with the model version that made it."""
    for image in result.images:
        if image.superseded_by is None:
            for reading in image.readings:
                for finding in reading.findings:
                    yield reading.model, finding


def _is_present(result: StudyResult, sent: FeedbackRequest) -> bool:
    labels = {finding.label for _, finding in findings_of(result)}
    if sent.label not in labels:
        detail = f"is no label of the study's findings: {', '.join(sorted(labels)) or 'none'}"
        raise InvalidFeedbackError((Fault("/label", detail),))
    if sent.judgement in {Judgement.PRESENT, Judgement.ABSENT}:
        return sent.judgement is Judgement.PRESENT
    said = set(verdicts_on(result, sent.label, sent.model).values())
    if not said:
        detail = "no model has a verdict to agree or disagree with: send 'present' or 'absent'"
        raise InvalidFeedbackError((Fault("/judgement", detail),))
    if len(said) > 1:
        detail = "is needed: models differ on the study"
        raise InvalidFeedbackError((Fault("/model", detail),))
    return said.pop() is (sent.judgement is Judgement.AGREE)


def verdicts_on(
    result: StudyResult, label: str, wanted: ModelReference | None = None
) -> dict[tuple[str, str], bool]:
    """Return each model version's verdict on a label: positive where it is in any image."""
    found: dict[tuple[str, str], bool] = {}
    for model, finding in findings_of(result):
        if finding.label == label and finding.positive is not None and _is_meant(model, wanted):
            key = model.name, model.version
            found[key] = found.get(key, False) or finding.positive
    return found


def _is_meant(model: ModelVersion, wanted: ModelReference | None) -> bool:
    return wanted is None or (model.name == wanted.name and wanted.version in {None, model.version})
