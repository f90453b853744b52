"""Pictures of the answers that have something to show, each with what it shows in words."""

import dataclasses
import re

import pytest

from gateway.report import Records, answers, questions
from gateway.report.answers import QueryResult
from gateway.report.plots import plots
from tests.support.analytics import lines_of, two_days, write


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, QueryResult]:
    records = Records([write(tmp_path_factory.mktemp("telemetry"), lines_of(two_days()))])
    result = answers(records, questions(), since=None, paid={"instance_hour": 2.0})
    records.close()
    return result


def words(svg: str) -> str:
    [text] = re.findall("<desc[^>]*>([^<]*)</desc>", svg)
    return text


def test_each_plot_says_what_it_shows(found: dict[str, QueryResult]):
    told = {plot.title: words(plot.svg) for plot in plots(found)}
    assert told["Submissions by hour"] == "At most 20 submissions in an hour."
    assert told["Busiest hours of the week"].endswith(" with 20 submissions.")
    assert told["End-to-end time by hour"] == (
        "The 95th percentile of an hour is at most 400.0 ms."
    )
    assert "total 200.0 ms" in told["Time by stage"]
    assert told["What did not succeed, by reason"] == (
        "inference-unavailable 1; unreadable-image 1"
    )
    assert re.fullmatch(r"Between [\d.]+ and [\d.]+ USD\.", told["Cost per 1000 images by day"])


def test_an_answer_without_rows_has_no_plot(found: dict[str, QueryResult]):
    empty = {name: dataclasses.replace(answer, rows=[]) for name, answer in found.items()}
    assert plots(empty) == []
    [only] = plots(empty | {"throughput": found["throughput"]})
    assert only.title == "Submissions by hour"
