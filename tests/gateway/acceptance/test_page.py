"""The page as HTML: it tells all that the JSON has, and does not run what a file is called."""

import datetime as dt
import re

from gateway.acceptance.measure import StudyOutcome, difference, figures
from gateway.acceptance.page import page, told
from gateway.schemas.acceptance import AcceptancePage, MeasuredVersion, NotRead
from tests.gateway.acceptance.test_measure import studies

DIGEST = "0" * 64


def version(number: str, outcomes: list[StudyOutcome], *labels: str) -> MeasuredVersion:
    return MeasuredVersion(
        name="chest",
        version=number,
        title="Pneumonia & co.",
        contract_sha256=DIGEST,
        read=96,
        labels=tuple(figures(label, 0.5, outcomes) for label in labels),
        failed=(NotRead(study="<script>alert(1)</script>.dcm", reason="Unreadable image"),),
    )


def document(*versions: MeasuredVersion, **others: object) -> AcceptancePage:
    return AcceptancePage.model_validate(
        {
            "made_at": dt.datetime(2026, 1, 31, 8, 15, tzinfo=dt.UTC),
            "gateway_version": "0.1.0",
            "gateway_sha256": "a" * 64,
            "studies": 120,
            "data_sha256": DIGEST,
            "labels_sha256": DIGEST,
            "versions": versions,
            **others,
        }
    )


def test_it_has_figures_groups_failures_and_provenance():
    outcomes = studies(1)
    made = document(version("2", outcomes, "pneumonia", "effusion"))
    html = page(made, is_signed=True, json_sha256="f" * 64, studies="../site")
    assert "Acceptance of chest 2" in html
    assert "Pneumonia &amp; co." in html
    area = made.accepted.labels[0].auc
    assert area is not None
    assert f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})" in html
    [device] = [each for each in made.accepted.labels[0].subgroups if each.value == "DR 7"]
    assert f"<td>{told(device.calibration_error)}</td>" in html
    assert "DR 7" in html
    assert "not enough data" in html
    assert html.count("<svg") == 2
    assert "alert(1)" in html
    assert "<script" not in html
    assert f"<td>files of the gateway, SHA-256</td><td>{'a' * 64}</td>" in html
    assert "f" * 64 in html
    assert "not stated" in html
    assert ".sig" in html
    assert not re.search(r"\$[a-z]", html)
    failed = '"../site/%3Cscript%3Ealert%281%29%3C/script%3E.dcm"'
    assert f"<a href={failed}>&lt;script&gt;alert(1)&lt;/script&gt;.dcm</a>" in html
    missed = made.accepted.labels[0].missed[0]
    assert f'<a href="../site/{missed}">{missed}</a>' in html


def test_without_a_key_it_says_that_it_is_not_signed():
    html = page(
        document(version("2", [], "pneumonia")), is_signed=False, json_sha256=DIGEST, studies="."
    )
    assert "Not signed" in html


def test_two_versions_are_compared_first():
    first, second = studies(5), studies(6)
    compared = (difference("pneumonia", (0.5, first), (0.5, second)),)
    made = document(
        version("2", first, "pneumonia"),
        version("1", second, "pneumonia"),
        differences=compared,
    )
    html = page(made, is_signed=False, json_sha256=DIGEST, studies=".")
    assert html.index("chest 2 and chest 1") < html.index("<h2>chest 2</h2>")
    assert AcceptancePage.model_validate_json(made.model_dump_json(by_alias=True)) == made
