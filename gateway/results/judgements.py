"""Judgements that people give: kept with the study, and counted as truth about its models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.results.feedback import judged, verdicts_on
from gateway.schemas.metadata import PROBE_PREFIX

if TYPE_CHECKING:
    from gateway.monitoring.minutes import MinuteCounts
    from gateway.results.catalog import StudyCatalog
    from gateway.results.documents import StudyRecord
    from gateway.results.store import ResultStore
    from gateway.schemas.feedback import FeedbackRequest


async def keep_feedback(
    study_id: str,
    sent: FeedbackRequest,
    caller: str,
    *,
    catalog: StudyCatalog,
    results: ResultStore,
    minutes: MinuteCounts,
) -> StudyRecord:
    """Keep a judgement on a study, count it as truth, and return the study's record.

    The same judgement again, by the same author, changes nothing.

    Parameters
    ----------
    caller
        Name of the caller, who is the author where no other is named.
    catalog, results
        The studies.
    minutes
        Counts the judgement for each model that has a verdict on the label.

    Raises
    ------
    RadStreamError
        See `judged`, and of the study.
    """
    result = await catalog.result(study_id)
    item = judged(result, sent, caller)
    record = await results.add_feedback(study_id, item)
    if item in record.feedback and not study_id.startswith(PROBE_PREFIX):
        before = [
            other.present
            for other in result.feedback or ()
            if (other.author, other.label) == (item.author, item.label)
        ]
        for (model, version), positive in verdicts_on(result, item.label).items():
            for present in before:
                minutes.judge(model, version, item.label, positive=positive, present=present, by=-1)
            minutes.judge(model, version, item.label, positive=positive, present=item.present)
    return record
