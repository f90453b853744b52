"""Rows of examinations, as registries of AI in radiology ask for them; no patient is named.

References
----------
American College of Radiology, ACR Connect, template "AI Result" of the registry Assess-AI.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from gateway.schemas.reading_event import label_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from gateway.report.records import Records

_WINDOW = dt.timedelta(days=30)
_EXAMINATIONS = """
WITH findings AS (
    SELECT DISTINCT ON (event_id) *
    FROM telemetry
    WHERE
        schema = 'radstream.telemetry/2'
        AND mode IN ('live', 'canary')
        AND CAST(occurred_at AS DATE) >= DATE '{since}'
),
examinations AS (
    SELECT
        study_ref,
        model,
        model_version,
        label,
        max(occurred_at) AS read_at,
        count(DISTINCT image_ref) AS images,
        bool_or(positive) AS positive,
        max(probability) FILTER (positive IS NOT NULL) AS probability,
        max(threshold) AS threshold,
        max(mode) AS mode,
        max(modality) AS modality,
        max(body_part) AS body_part,
        string_agg(DISTINCT view, ' ' ORDER BY view) AS views,
        max(age_band) AS age_band,
        max(sex) AS sex,
        max(device) AS device,
        'RadStream ' || arg_max(gateway_version, occurred_at) AS platform
    FROM findings
    GROUP BY study_ref, model, model_version, label
)
SELECT
    study_ref,
    model,
    model_version,
    platform,
    mode,
    {read_at} AS read_at,
    label,
    CASE positive WHEN true THEN 'positive' WHEN false THEN 'negative' ELSE 'not_applicable' END
        AS result,
    probability,
    threshold,
    positive IS NOT NULL AS applicable,
    CASE present WHEN true THEN 'present' WHEN false THEN 'absent' END AS truth,
    source AS truth_source,
    {truth_at} AS truth_at,
    positive = present AS concordant,
    images,
    modality,
    body_part,
    views,
    age_band,
    sex,
    device
FROM examinations
LEFT JOIN judgements USING (study_ref, label)
ORDER BY examinations.read_at, study_ref, model, model_version, label
"""


def kept_judgements(
    records: Records, results: Iterable[Mapping[str, Any]], study_ref: Callable[[str], str]
) -> Iterator[Mapping[str, Any]]:
    """Yield results of studies, the latest judgement on each label kept with the records.

    Parameters
    ----------
    results
        Results of studies, as the gateway answers them.
    study_ref
        Returns the name that the records have for a study_id.
    """
    for result in results:
        latest = {label_name(item["label"]): item for item in result.get("feedback", ())}
        for label, item in latest.items():
            records.judge(
                study_ref(result["study_id"]),
                *(label, item["present"], item["source"], item["at"]),
            )
        yield result


def write_examinations(records: Records, file: Path, *, since: dt.date | None = None) -> int:
    """Write a row for each study, model version and label that was shown; return their number.

    The most suspicious image counts. Rows go from the query to the file, none is held in Python.

    Parameters
    ----------
    file
        CSV where its name ends so, else JSON, a line for each row.
    since
        First day of the window; 30 days ago if None.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    first = since or (dt.datetime.now(dt.UTC) - _WINDOW).date()
    told = "strftime({}, '%Y-%m-%dT%H:%M:%SZ')".format
    sql = _EXAMINATIONS.format(
        since=first.isoformat(),
        read_at=told("examinations.read_at"),
        truth_at=told("judged_at"),
    )
    return records.write(sql, file)
