"""Agreement from telemetry and from the store, by hand."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.report import Records, agreement, changed_cases
from tests.support.analytics import FIRST_DAY, TODAY, write


def reading(image: int, mode: str, probability: float, **changes: Any) -> str:
    """A record of a finding, as far as the report looks at it."""
    record = {
        "event_id": f"{image}-{mode}",
        "schema": "radstream.telemetry/2",
        "occurred_at": f"{FIRST_DAY.isoformat()}T09:00:00Z",
        "study_ref": "0" * 32,
        "image_ref": f"{image:032x}",
        "frame": 1,
        "model": "cxr",
        "model_version": "2" if mode == "shadow" else "1",
        "mode": mode,
        "label": "pneumonia",
        "probability": probability,
        "positive": probability >= 0.5,
    }
    return json.dumps(record | changes) + "\n"


def rows(folder: Path, *lines: str, since: dt.date | None = None) -> list[dict[str, Any]]:
    records = Records([write(folder, lines), write(folder, lines)])  # each comes twice
    found = agreement(records, since=since).records()
    records.close()
    return found


def test_pairs_are_findings_of_one_image_by_two_versions(tmp_path: Path):
    # 20 both positive, 5 only by version 1, 10 only by version 2, 15 by none: kappa 0.4.
    verdicts = [(0.9, 0.8)] * 20 + [(0.9, 0.4)] * 5 + [(0.1, 0.8)] * 10 + [(0.1, 0.0)] * 15
    lines = [
        line
        for number, (live, shadow) in enumerate(verdicts)
        for line in (reading(number, "live", live), reading(number, "shadow", shadow))
    ]
    [row] = rows(tmp_path, *lines, reading(99, "shadow", 0.9))
    assert (row["shadow"], row["shown"], row["label"]) == ("cxr 2", "cxr 1", "pneumonia")
    assert (row["pairs"], row["both_positive"], row["both_negative"]) == (50, 20, 15)
    assert (row["only_shown"], row["only_shadow"], row["kappa"]) == (5, 10, "0.400")
    assert row["mcnemar_p"] == "0.3018"  # twice 4944 of 2 ** 15
    # A sum of -2, -2.5, +7 and -1.5 over 50 pairs.
    assert row["difference"] == "+0.0200"


def test_findings_without_a_verdict_are_pairs_alone(tmp_path: Path):
    [row] = rows(tmp_path, reading(1, "live", 0.9), reading(1, "shadow", 0.9, positive=None))
    assert (row["pairs"], row["both_positive"], row["kappa"]) == (1, 0, None)


def test_what_is_older_than_the_window_is_left_out(tmp_path: Path):
    pair = reading(1, "live", 0.9), reading(1, "shadow", 0.9)
    assert rows(tmp_path, *pair, since=TODAY) == []
    assert len(rows(tmp_path, *pair, since=FIRST_DAY)) == 1


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        '{"pairs": [{}]}',
        "[]",
        '{"pairs": ["x"]}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_what_is_no_reading_is_passed_over(tmp_path: Path, content: str):
    folder = tmp_path / "results/S1/shadows/00"
    folder.mkdir(parents=True)
    (folder / "cxr-2.json").write_text(content)
    assert changed_cases(tmp_path).rows == []


def test_cases_that_would_change_are_named_by_their_study(tmp_path: Path):
    folder = tmp_path / "results/S1/shadows/00ff00ff00ff00ff"
    folder.mkdir(parents=True)
    pair = {"model": {"name": "cxr", "version": "1"}, "frame": 1, "label": "pneumonia"}
    pairs = [
        pair | {"probability": 0.9, "shadow_probability": shadow, "positive": True} | verdict
        for shadow, verdict in [
            (0.4, {"shadow_positive": False}),
            (0.8, {"shadow_positive": True}),
            (0.7, {}),
        ]
    ]
    document = {
        "study_id": "S1",
        "sha256": "00ff00ff00ff00ff",
        "model": {"name": "cxr", "version": "2"},
        "pairs": pairs,
    }
    (folder / "cxr-2.json").write_text(json.dumps(document))
    [row] = changed_cases(tmp_path).records()
    assert (row["study_id"], row["image"], row["label"]) == ("S1", "00ff00ff00ff", "pneumonia")
    assert (row["shown"], row["shown_verdict"]) == ("cxr 1", "positive 0.900")
    assert (row["shadow"], row["shadow_verdict"]) == ("cxr 2", "negative 0.400")
