"""Rows of examinations, from records of two studies and the judgement on one."""

import csv
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.observability.pseudonyms import Pseudonyms
from gateway.report import Records, kept_judgements, write_examinations
from gateway.schemas.reading_event import ReadingEvent
from tests.support.analytics import FIRST_DAY, lines_of, write
from tests.support.gateway import ROOT
from tests.support.telemetry import reading_event

PSEUDONYMS = Pseudonyms("key")
SEEN = PSEUDONYMS.study_ref("CANARY-1")
NINE = dt.datetime.combine(FIRST_DAY, dt.time(9), dt.UTC)
FACTS = {
    "study_ref": SEEN,
    "occurred_at": NINE,
    "model": "chest",
    "model_version": "2",
    "modality": "DX",
    "body_part": "CHEST",
    "view": "AP",
    "age_band": "1-5",
    "sex": "F",
    "device": "d" * 32,
}


def finding(**changes: Any) -> ReadingEvent:
    """An event of the study that somebody judged."""
    return reading_event(**FACTS | changes)


def records(folder: Path, *events: ReadingEvent) -> Records:
    """Records of events that came twice."""
    lines = lines_of(events)
    return Records([write(folder, lines), write(folder, lines)])


def judged(*judgements: tuple[str, bool]) -> dict[str, Any]:
    """The result of the study with judgements on labels, in their order."""
    return {
        "study_id": "CANARY-1",
        "feedback": [
            {
                "label": label,
                "present": present,
                "author": "Dr. Canary",
                "source": "report",
                "at": f"{FIRST_DAY}T1{place}:00:00+01:00",
            }
            for place, (label, present) in enumerate(judgements)
        ],
    }


def written(found: Records, *results: dict[str, Any], to: Path) -> str:
    """The file of the examinations."""
    list(kept_judgements(found, results, PSEUDONYMS.study_ref))
    write_examinations(found, to)
    found.close()
    return to.read_text()


def test_a_study_has_a_row_for_each_version_and_label_with_its_truth(tmp_path: Path):
    events = [
        finding(image_ref="1" * 32, probability=0.75, positive=True),
        finding(image_ref="2" * 32, probability=0.25, positive=False, view="LATERAL"),
        finding(probability=0.99, positive=None, applicable=False, image_ref="3" * 32),
        finding(label="effusion", finding=2, probability=0.125, image_ref="1" * 32),
        finding(model_version="3", mode="shadow", probability=0.9, positive=True),
    ]
    result = judged(("pneumonia", True), ("pneumonia", False))
    text = written(records(tmp_path, *events), result, to=tmp_path / "rows.csv")
    effusion, pneumonia = csv.DictReader(text.splitlines())
    assert pneumonia == {
        "study_ref": SEEN,
        "model": "chest",
        "model_version": "2",
        "platform": "RadStream 0.1.0",
        "mode": "live",
        "read_at": f"{FIRST_DAY}T09:00:00Z",
        "label": "pneumonia",
        "result": "positive",
        "probability": "0.75",
        "threshold": "0.5",
        "applicable": "true",
        "truth": "absent",
        "truth_source": "report",
        "truth_at": f"{FIRST_DAY}T10:00:00Z",
        "concordant": "false",
        "images": "3",
        "modality": "DX",
        "body_part": "CHEST",
        "views": "AP LATERAL",
        "age_band": "1-5",
        "sex": "F",
        "device": "d" * 32,
    }
    assert (effusion["label"], effusion["result"], effusion["probability"]) == (
        *("effusion", "negative", "0.125"),
    )
    assert (effusion["truth"], effusion["concordant"]) == ("", "")
    assert "anary" not in text.lower()
    documented = (ROOT / "docs/monitoring-models.md").read_text()
    assert [name for name in pneumonia if f"`{name}`" not in documented] == []


def test_json_has_a_line_for_each_row_and_null_for_what_is_not_known(tmp_path: Path):
    events = [
        reading_event(study_ref="0" * 32, occurred_at=NINE, applicable=False, positive=None),
        finding(occurred_at=NINE + dt.timedelta(hours=1), label="a_b"),
    ]
    text = written(records(tmp_path, *events), judged(("a*b", False)), to=tmp_path / "rows.jsonl")
    unlike, agreed = map(json.loads, text.splitlines())
    assert (unlike["result"], unlike["applicable"]) == ("not_applicable", False)
    assert (unlike["probability"], unlike["truth"], unlike["concordant"]) == (None, None, None)
    assert (agreed["truth"], agreed["concordant"], agreed["probability"]) == ("absent", True, 0.1)


def test_the_platform_is_the_version_that_ran_it_last(tmp_path: Path):
    events = [
        finding(image_ref="1" * 32, gateway_version="0.9.0"),
        finding(
            image_ref="2" * 32,
            gateway_version="0.10.0",
            occurred_at=NINE + dt.timedelta(hours=1),
        ),
    ]
    text = written(records(tmp_path, *events), to=tmp_path / "rows.csv")
    assert [row["platform"] for row in csv.DictReader(text.splitlines())] == ["RadStream 0.10.0"]


def test_of_judgements_on_one_label_in_two_spellings_the_latest_counts(tmp_path: Path):
    text = written(
        records(tmp_path, finding(label="a_b")),
        judged(("a*b", True), ("a_b", False)),
        to=tmp_path / "rows.csv",
    )
    assert [row["truth"] for row in csv.DictReader(text.splitlines())] == ["absent"]


def test_days_are_chosen_and_a_file_that_cannot_be_written_is_told(tmp_path: Path):
    found = records(tmp_path, finding())
    assert write_examinations(found, tmp_path / "a.csv") == 1
    later = FIRST_DAY + dt.timedelta(days=1)
    assert write_examinations(found, tmp_path / "b.csv", since=later) == 0
    assert (tmp_path / "b.csv").read_text().startswith("study_ref,model,")
    with pytest.raises(OSError, match="none"):
        write_examinations(found, tmp_path / "none" / "c.csv")
    found.close()
