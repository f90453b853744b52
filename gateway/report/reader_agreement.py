"""Agreement of models with readers and reports, from the feedback on studies."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gateway.acceptance.statistics import ENOUGH, Counts, calibration_error
from gateway.report.answers import NOT_ENOUGH, QueryResult
from gateway.report.questions import Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gateway.acceptance.statistics import Estimate

_AGREEMENT = Question(
    "reader_agreement",
    "Agreement with readers and reports",
    "Verdicts of each model version against the latest judgement on the study, and the expected "
    "calibration error of its probabilities (ten bins), with intervals at "
    f"95 %. Under {ENOUGH} studies there are no figures. Studies are those that somebody judged: "
    "where these are chosen by the verdict, sensitivity and specificity are not those of all.",
    "",
)
_DISCORDANT = Question(
    "discordant_studies",
    "Discordant studies",
    "Studies whose latest judgement contradicts the verdict, newest judgement first.",
    "",
)
_FIGURES = (
    *("sensitivity", "specificity", "positive_predictive_value"),
    *("negative_predictive_value", "concordance"),
)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Verdict of a model version on a label of a study, and the judgement on it."""

    study_id: str
    model: tuple[str, str]
    label: str
    probability: float
    threshold: float
    positive: bool
    present: bool
    author: str
    at: str
    is_disputed: bool


def reader_agreement(results: Iterable[Mapping[str, Any]]) -> dict[str, QueryResult]:
    """Return the answers on agreement, by name.

    Parameters
    ----------
    results
        Results of studies, as the gateway answers them.
    """
    by_model: dict[tuple[str, str, str], list[_Verdict]] = defaultdict(list)
    for result in results:
        for verdict in _verdicts(result):
            by_model[*verdict.model, verdict.label].append(verdict)
    rows = [(*key, *_figures(verdicts)) for key, verdicts in sorted(by_model.items())]
    discordant = [
        verdict
        for verdicts in by_model.values()
        for verdict in verdicts
        if verdict.positive is not verdict.present
    ]
    discordant.sort(key=lambda each: each.at, reverse=True)
    counted = ["studies", "with_finding", "disputed"]
    columns = ["model", "version", "label", *counted, *_FIGURES, "calibration_error"]
    told = ["study_id", "model", "version", "label", "probability", "threshold", "verdict"]
    return {
        "reader_agreement": QueryResult(_AGREEMENT, columns, rows),
        "discordant_studies": QueryResult(
            _DISCORDANT, [*told, "judgement", "author"], [_row(each) for each in discordant]
        ),
    }


def _figures(verdicts: Sequence[_Verdict]) -> tuple[Any, ...]:
    truth = np.array([each.present for each in verdicts], bool)
    counts = Counts.of(truth, np.array([each.positive for each in verdicts], bool))
    probabilities = np.array([each.probability for each in verdicts], np.float64)
    figures = [getattr(counts, name) for name in _FIGURES]
    figures.append(calibration_error(truth, probabilities))
    disputed = sum(each.is_disputed for each in verdicts)
    return len(verdicts), int(truth.sum()), disputed, *(_told(each, counts) for each in figures)


def _told(estimate: Estimate | None, counts: Counts) -> str:
    if counts.studies < ENOUGH or estimate is None:
        return NOT_ENOUGH
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _row(verdict: _Verdict) -> tuple[Any, ...]:
    return (
        *(verdict.study_id, *verdict.model, verdict.label),
        *(f"{verdict.probability:.3f}", f"{verdict.threshold:.3f}"),
        "positive" if verdict.positive else "negative",
        "present" if verdict.present else "absent",
        verdict.author,
    )


def _verdicts(result: Mapping[str, Any]) -> Iterator[_Verdict]:
    """Yield the verdicts of a study that somebody judged; its most suspicious image counts."""
    latest: dict[str, Mapping[str, Any]] = {}
    said: dict[str, set[bool]] = defaultdict(set)
    for item in result.get("feedback", ()):
        latest[item["label"]] = item
        said[item["label"]].add(item["present"])
    found: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    for image in result["images"]:
        for reading in image["readings"] if "superseded_by" not in image else ():
            for finding in reading["findings"]:
                key = reading["model"]["name"], reading["model"]["version"], finding["label"]
                before = found.get(key, {"probability": -1.0})
                if "positive" in finding and finding["probability"] > before["probability"]:
                    found[key] = finding
    for (name, version, label), finding in found.items():
        if (item := latest.get(label)) is not None:
            yield _Verdict(
                study_id=result["study_id"],
                model=(name, version),
                label=label,
                probability=finding["probability"],
                threshold=finding["threshold"],
                positive=finding["positive"],
                present=item["present"],
                author=item["author"],
                at=item["at"],
                is_disputed=len(said[label]) > 1,
            )
