"""The named queries on two days of telemetry whose answers follow by hand."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.report import Records, prices, questions
from gateway.report.questions import in_duckdb
from tests.support.analytics import (
    FIRST_DAY,
    SECOND_DAY,
    STAGES,
    TODAY,
    lines_of,
    study,
    two_days,
    write,
)
from tests.support.telemetry import reading_event

Ask = Callable[..., list[dict[str, Any]]]


def at(day: dt.date, hour: int) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour))


def asking(records: Records) -> Ask:
    """Asks a query by name; its rows by the names of the columns."""
    sql = {question.name: question.sql for question in questions()}

    def ask(name: str, **changes: Any) -> list[dict[str, Any]]:
        columns, rows = records.ask(in_duckdb(sql[name], **changes))
        return [dict(zip(columns, row, strict=True)) for row in rows]

    return ask


@pytest.fixture(scope="module", params=["once", "each record twice"])
def ask(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """The two days; that records come twice changes no answer."""
    folder = tmp_path_factory.mktemp("telemetry")
    lines = lines_of(two_days())
    files = [write(folder, lines)]
    if request.param != "once":
        files.append(write(folder, lines))
    records = Records(files)
    yield asking(records)
    records.close()


def test_summary(ask: Ask):
    # Of 22 that succeed, in order 10 20 30 40 50 50 60 ... 200 400 ms: the 11th, 21st and 22nd.
    assert ask("summary") == [
        {
            "first_at": at(FIRST_DAY, 9),
            "last_at": at(SECOND_DAY, 23) + dt.timedelta(minutes=10),
            "submissions": 24,
            "studies": 24,
            "images": 23,
            "succeeded": 22,
            "refused": 1,
            "errors": 1,
            "refused_percent": pytest.approx(4.166667),
            "error_percent": pytest.approx(4.166667),
            "p50_ms": 100.0,
            "p95_ms": 200.0,
            "p99_ms": 400.0,
            "gateways": 2,
        }
    ]


def test_throughput(ask: Ask):
    assert [tuple(row.values()) for row in ask("throughput")] == [
        (at(FIRST_DAY, 9), 20, 20, 20, 20, 0, 0, 20.0),
        (at(FIRST_DAY, 10), 3, 3, 2, 1, 1, 1, 4.0),
        (at(SECOND_DAY, 23), 1, 1, 1, 1, 0, 0, 1.0),
    ]


def test_end_to_end(ask: Ask):
    # 10 20 ... 200 400 ms: the 11th, 20th and 21st of 21.
    assert [tuple(row.values()) for row in ask("end_to_end")] == [
        (FIRST_DAY, "rest", 21, 110.0, 200.0, 400.0, 400.0),
        (SECOND_DAY, "event", 1, 50.0, 50.0, 50.0, 50.0),
    ]


def test_stage_latency(ask: Ask):
    rows = [tuple(row.values()) for row in ask("stage_latency")]
    # 1 2 ... 7 8 8 9 ... 20 40 ms: the 11th, 21st and 22nd of 22.
    assert [row for row in rows if row[1] == "infer"] == [
        (None, "infer", 22, 10.0, 20.0, 40.0),
        (at(FIRST_DAY, 9), "infer", 20, 10.0, 19.0, 20.0),
        (at(FIRST_DAY, 10), "infer", 1, 40.0, 40.0, 40.0),
        (at(SECOND_DAY, 23), "infer", 1, 8.0, 8.0, 8.0),
    ]
    assert (None, "decode", 23, 1.0, 1.0, 1.0) in rows  # the one that failed does not count
    assert [row[1] for row in rows if row[0] is None] == sorted(STAGES)


def test_error_rates(ask: Ask):
    assert [tuple(row.values()) for row in ask("error_rates")] == [
        ("decode", "failed", "unreadable-image", 1, pytest.approx(100 / 24)),
        ("infer", "error", "inference-unavailable", 1, pytest.approx(100 / 23)),
        ("total", "error", "inference-unavailable", 1, pytest.approx(100 / 24)),
        ("total", "failed", "unreadable-image", 1, pytest.approx(100 / 24)),
    ]


def test_model_comparison(ask: Ask):
    first, last = at(FIRST_DAY, 9), at(SECOND_DAY, 23) + dt.timedelta(minutes=10)
    second = at(FIRST_DAY, 10) + dt.timedelta(minutes=15)
    # The first: 1 2 ... 8 8 ... 20 and 10 20 ... 50 50 ... 200 ms: the 11th and 20th of 21.
    assert [tuple(row.values()) for row in ask("model_comparison")] == [
        ("m", "1", first, last, 22, pytest.approx(4.545454), 0.0, 10.0, 19.0, 100.0, 190.0),
        (
            *("m", "2", second, second + dt.timedelta(minutes=15), 2, 0.0, 50.0),
            *(40.0, 40.0, 400.0, 400.0),
        ),
    ]


def test_busiest_hours(ask: Ask):
    assert [tuple(row.values()) for row in ask("busiest_hours")] == [
        (FIRST_DAY.isoweekday(), 9, 20, 20),
        (FIRST_DAY.isoweekday(), 10, 3, 3),
        (SECOND_DAY.isoweekday(), 23, 1, 1),
    ]


def test_cost_per_1000_images(ask: Ask):
    paid = {
        "instance_hour": 2.0,
        "stored_gb_month": 0.5,
        "stored_months": 2.0,
        "put_requests_1000": 1.0,
        "events_million": 1000.0,
    }
    assert paid.keys() == prices().keys()
    # First day: 90 minutes; 22 MB; 20 x 2 + 3 objects; 20 x 7 + 4 + 6 + 7 events. Second: the
    # minute that EC2 counts at least; 1 MB; 2 objects; 7 events.
    first = (22, 1.5, 3.0, 0.022, 0.043, 0.157, 1000 * 3.222 / 22)
    second = (1, 1 / 60, 2 / 60, 0.001, 0.002, 0.007, 1000 * (2 / 60 + 0.010))
    whole = tuple(a + b for a, b in zip(first[:6], second[:6], strict=True))
    assert [tuple(row.values()) for row in ask("cost_per_1000_images", paid=paid)] == [
        (None, *map(pytest.approx, (*whole, 1000 * (3.222 + 2 / 60 + 0.010) / 23))),
        (FIRST_DAY, *map(pytest.approx, first)),
        (SECOND_DAY, *map(pytest.approx, second)),
    ]


def test_a_price_costs_what_the_file_says_unless_another_is_given(ask: Ask):
    [whole, *_] = ask("cost_per_1000_images")
    hours = whole["instance_hours"]
    assert whole["compute_usd"] == pytest.approx(hours * prices()["instance_hour"])
    [free, *_] = ask("cost_per_1000_images", paid={"instance_hour": 0.0})
    assert free["compute_usd"] == 0
    assert free["storage_usd"] == pytest.approx(whole["storage_usd"])
    assert free["storage_usd"] > 0


def test_nothing_is_wrong_with_good_telemetry(ask: Ask):
    rows = {row["check_name"]: row for row in ask("data_quality")}
    copies = rows.pop("copies")
    assert copies["looked_at"] - copies["found"] == 164
    assert {row["found"] for row in rows.values()} == {0}
    assert {row["looked_at"] for row in rows.values()} == {164, 24}
    assert all(row["meaning"].endswith(".") for row in rows.values())


def test_the_window_can_be_moved(ask: Ask):
    [summary] = ask("summary", since=SECOND_DAY)
    assert (summary["submissions"], summary["p95_ms"]) == (1, 50.0)
    assert [row["day"] for row in ask("end_to_end", since=SECOND_DAY)] == [SECOND_DAY]


def test_last_months_telemetry_counts_once_it_is_asked_for(tmp_path: Path):
    long_ago = TODAY - dt.timedelta(days=31)
    records = Records([write(tmp_path, lines_of(study("1", long_ago, "09:00:00")), begun=long_ago)])
    ask = asking(records)
    assert ask("summary")[0]["submissions"] == 0
    assert ask("summary", since=long_ago)[0]["submissions"] == 1
    records.close()


# --- data quality ---------------------------------------------------------------------------------

GOOD = study("1", FIRST_DAY, "09:00:00")
ONE = GOOD[:1]
READING = reading_event()
AHEAD = study("2", TODAY + dt.timedelta(days=1), "12:00:00")


@pytest.mark.parametrize(
    ("check", "lines", "found"),
    [
        ("copies", lines_of([*GOOD, *GOOD, *GOOD]), 14),
        ("contradicting copies", lines_of(GOOD) + lines_of(ONE, latency_ms=2.0), 1),
        ("unknown schema, stage or status", lines_of(ONE, stage="admission"), 1),
        ("unknown schema, stage or status", lines_of(ONE, schema="radstream.telemetry/9"), 1),
        ("unknown schema, stage or status", lines_of(ONE, status=None), 1),
        ("unknown schema, stage or status", lines_of([READING]), 0),
        ("impossible values", lines_of([READING]), 0),
        ("missing stages", lines_of([READING]), 0),
        ("impossible values", lines_of(ONE, latency_ms=-0.1), 1),
        ("impossible values", lines_of(ONE, latency_ms=None), 1),
        ("impossible values", lines_of(GOOD, rows=0), 7),
        ("impossible values", lines_of(ONE, error_code="internal"), 1),
        ("impossible values", lines_of(ONE, status="failed"), 1),
        ("clock ahead", lines_of(AHEAD), 7),
        ("missing stages", lines_of(event for event in GOOD if event.stage != "store"), 1),
        ("missing stages", lines_of(event for event in GOOD if event.stage != "validate"), 1),
        ("missing stages", lines_of(event for event in GOOD if event.stage != "tensor"), 1),
        ("missing ends", lines_of(GOOD[:-1]), 1),
    ],
)
def test_a_fault_of_the_telemetry_is_found(
    check: str, lines: list[str], found: int, tmp_path: Path
):
    records = Records([write(tmp_path, lines)])
    rows = {row["check_name"]: row for row in asking(records)("data_quality")}
    assert rows[check]["found"] == found
    others = {name for name, row in rows.items() if row["found"]} - {check, "copies"}
    # A lone event or a wrong stage is an incomplete study as well.
    assert others <= {"missing ends", "missing stages"}
    records.close()


def test_what_comes_a_day_after_it_occurred_is_late(tmp_path: Path):
    records = Records([write(tmp_path, lines_of(GOOD), begun=SECOND_DAY)])
    rows = {row["check_name"]: row for row in asking(records)("data_quality")}
    assert (rows["late arrivals"]["found"], rows["late arrivals"]["percent"]) == (7, 100.0)
    records.close()


def test_the_end_of_a_study_may_still_be_on_its_way(tmp_path: Path):
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    events = study("1", now.date(), now.time().isoformat(), stages=STAGES[:-1])
    records = Records([write(tmp_path, lines_of(events))])
    rows = {row["check_name"]: row for row in asking(records)("data_quality")}
    assert rows["missing ends"] == rows["missing ends"] | {"found": 0, "looked_at": 1}
    records.close()
