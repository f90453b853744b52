"""Agreement of shadow models with those whose readings are shown, from telemetry and the store."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from gateway.acceptance.agreement import Differences, Verdicts
from gateway.report.answers import QueryResult
from gateway.report.questions import Question

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.report.records import Records

_WINDOW = dt.timedelta(days=30)
_PAIRS = """
WITH readings AS (
    SELECT
        any_value(study_ref) AS study_ref,
        any_value(image_ref) AS image_ref,
        any_value(frame) AS frame,
        any_value(mode) AS mode,
        any_value(model) AS model,
        any_value(model_version) AS model_version,
        any_value(label) AS label,
        any_value(positive) AS positive,
        any_value(probability) AS probability
    FROM telemetry
    WHERE schema = 'radstream.telemetry/2' AND CAST(occurred_at AS DATE) >= DATE '{since}'
    GROUP BY event_id
)
SELECT
    shadow.model || ' ' || shadow.model_version AS shadow,
    shown.model || ' ' || shown.model_version AS shown,
    shadow.label,
    count(*) FILTER (shown.positive AND shadow.positive),
    count(*) FILTER (shown.positive AND NOT shadow.positive),
    count(*) FILTER (NOT shown.positive AND shadow.positive),
    count(*) FILTER (NOT shown.positive AND NOT shadow.positive),
    count(*),
    avg(shadow.probability - shown.probability),
    coalesce(stddev_samp(shadow.probability - shown.probability), 0)
FROM readings AS shadow
JOIN readings AS shown USING (study_ref, image_ref, frame, label)
WHERE shadow.mode = 'shadow' AND shown.mode NOT IN ('shadow', 'silent')
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
"""
_AGREEMENT = Question(
    "agreement",
    "Agreement of shadow models",
    "Each shadow model's findings beside those that are shown of the same images, by label: "
    "verdicts that would change, Cohen's kappa and the mean difference of probability with their "
    "intervals of 95 %, McNemar's p, and Bland and Altman's limits. Findings without a verdict "
    "count among the pairs alone.",
    "",
)
_COLUMNS = [
    *("shadow", "shown", "label", "pairs", "both_positive", "only_shown", "only_shadow"),
    *("both_negative", "kappa", "kappa_interval", "mcnemar_p", "difference"),
    *("difference_interval", "limits"),
]
_CHANGED = Question(
    "changed_cases",
    "Cases that would change",
    "Findings of the store's studies on which a shadow model and the one that is shown differ.",
    "",
)
_CASES = [
    "study_id",
    "image",
    "frame",
    "label",
    "shown",
    "shown_verdict",
    "shadow",
    "shadow_verdict",
]


def agreement(records: Records, *, since: dt.date | None = None) -> QueryResult:
    """Return the agreement by pair of versions and label.

    Parameters
    ----------
    since
        First day of the window; 30 days ago if None.
    """
    first = since or (dt.datetime.now(dt.UTC) - _WINDOW).date()
    _, rows = records.ask(_PAIRS.format(since=first.isoformat()))
    return QueryResult(_AGREEMENT, _COLUMNS, [_row(*row) for row in rows])


def changed_cases(store: Path) -> QueryResult:
    """Return the findings that would change, by the readings of shadow models in a store's folder.

    A file that is no such reading is passed over; `radstream verify` tells of it.
    """
    rows = [
        row for file in sorted(store.glob("results/*/shadows/*/*.json")) for row in _cases(file)
    ]
    return QueryResult(_CHANGED, _CASES, rows)


def _row(shadow: str, shown: str, label: str, *counted: Any) -> tuple[Any, ...]:
    """Return a row of the answer for one of the query."""
    both, only_shown, only_shadow, neither, pairs, mean, deviation = counted
    verdicts = Verdicts(both, only_shown, only_shadow, neither)
    kappa, differences = verdicts.kappa(), Differences(pairs, mean, deviation)
    return (
        shadow,
        shown,
        label,
        pairs,
        both,
        only_shown,
        only_shadow,
        neither,
        None if kappa is None else f"{kappa.value:.3f}",
        None if kappa is None else _span(kappa.low, kappa.high),
        f"{verdicts.mcnemar_p():.4f}",
        f"{differences.bias.value:+.4f}",
        _span(differences.bias.low, differences.bias.high),
        _span(*differences.limits),
    )


def _span(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"


def _cases(file: Path) -> Iterator[tuple[Any, ...]]:
    try:
        reading = json.loads(file.read_bytes())
        for pair in reading["pairs"]:
            verdicts = pair.get("positive"), pair.get("shadow_positive")
            if None in verdicts or verdicts[0] is verdicts[1]:
                continue
            yield (
                reading["study_id"],
                reading["sha256"][:12],
                str(pair["frame"]),
                pair["label"],
                f"{pair['model']['name']} {pair['model']['version']}",
                _verdict(pair["probability"], is_positive=verdicts[0]),
                f"{reading['model']['name']} {reading['model']['version']}",
                _verdict(pair["shadow_probability"], is_positive=verdicts[1]),
            )
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError):
        return


def _verdict(probability: float, *, is_positive: bool) -> str:
    return f"{'positive' if is_positive else 'negative'} {probability:.3f}"
