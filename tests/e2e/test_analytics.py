"""The named queries on the telemetry of a real run, and the report of it."""

import datetime as dt
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.report import QueryResult, Records, answers, questions
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import metadata, multipart, running_gateway, settings_for, until
from tests.support.models import flat_png
from tests.support.telemetry import events_in

Events = list[dict[str, Any]]

READ = 12  # studies of one image
REPLAYED = 3  # of which so many are sent again
PAIRS = 2  # studies of two images
READINGS = READ + 2 * PAIRS
UNREADABLE = 4
INVALID = 1


@pytest.fixture(scope="module")
async def folder(triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The telemetry of a gateway that had these studies and stopped."""
    settings = settings_for(triton.grpc_url, tmp_path_factory.mktemp("run") / "store")
    async with running_gateway(settings) as live:
        await until(live.is_ready)

        async def post(document: dict[str, Any], *images: bytes) -> int:
            answer = await live.client.post("/v1/studies", **multipart(document, *images))
            return answer.status_code

        documents = [metadata() for _ in range(READ)]
        for document in [*documents, *documents[:REPLAYED]]:
            assert await post(document, flat_png(10)) == 200
        for _ in range(PAIRS):
            assert await post(metadata(), flat_png(20), flat_png(30)) == 200
        for _ in range(UNREADABLE):
            assert await post(metadata(), flat_png(40)[:40]) == 422
        for _ in range(INVALID):
            assert await post(metadata(view="UP"), flat_png(50)) == 422
    return settings.telemetry.folder


@pytest.fixture(scope="module")
def events(folder: Path) -> Events:
    """What the run has told."""
    return events_in(folder)


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, QueryResult]:
    """The answers to all queries."""
    records = Records(sorted(folder.glob("*.jsonl")))
    found = answers(records, questions(), since=None, paid={})
    records.close()
    return found


def latencies(events: Events, stage: str, status: str = "success") -> list[float]:
    """In ascending order."""
    return sorted(
        event["latency_ms"]
        for event in events
        if (event["stage"], event["status"]) == (stage, status)
    )


def rank(values: list[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    return values[math.ceil(share * len(values)) - 1]


def summed(rows: list[dict[str, Any]], column: str) -> float:
    return sum(row[column] for row in rows)


def test_the_summary_counts_what_was_sent(found: dict[str, QueryResult], events: Events):
    [summary] = found["summary"].records()
    succeeded = READ + REPLAYED + PAIRS
    refused = UNREADABLE + INVALID
    expected = {
        "submissions": succeeded + refused,
        "studies": READ + PAIRS + refused,
        "images": READ + REPLAYED + 2 * PAIRS,
        "succeeded": succeeded,
        "refused": refused,
        "errors": 0,
        "error_percent": 0.0,
        "refused_percent": pytest.approx(100 * refused / (succeeded + refused)),
        "gateways": 1,
    }
    assert summary == summary | expected
    total = latencies(events, "total")
    assert [summary[f"p{n}_ms"] for n in (50, 95, 99)] == [
        rank(total, share) for share in (0.50, 0.95, 0.99)
    ]


def test_throughput_by_hour_sums_up_to_what_was_sent(found: dict[str, QueryResult], events: Events):
    rows = found["throughput"].records()
    assert summed(rows, "submissions") == READ + REPLAYED + PAIRS + UNREADABLE + INVALID
    assert summed(rows, "succeeded") == READ + REPLAYED + PAIRS
    assert summed(rows, "images") == READ + REPLAYED + 2 * PAIRS
    sent_bytes = sum(event["image_bytes"] for event in events if event["stage"] == "total")
    assert summed(rows, "image_mb") == pytest.approx(sent_bytes / 1e6)
    assert summed(found["busiest_hours"].records(), "submissions") == summed(rows, "submissions")


@pytest.mark.parametrize("stage", ["validate", "admit", "decode", "tensor", "infer", "store"])
def test_a_stages_percentiles_are_those_of_its_events(
    stage: str, found: dict[str, QueryResult], events: Events
):
    values = latencies(events, stage)
    [whole] = (
        row
        for row in found["stage_latency"].records()
        if (row["hour"], row["stage"]) == (None, stage)
    )
    assert whole["events"] == len(values)
    assert [whole[f"p{n}_ms"] for n in (50, 95, 99)] == [
        rank(values, share) for share in (0.50, 0.95, 0.99)
    ]
    by_hour = [row for row in found["stage_latency"].records() if row["stage"] == stage]
    assert summed(by_hour, "events") == 2 * len(values)


def test_end_to_end_has_every_success(found: dict[str, QueryResult], events: Events):
    rows = found["end_to_end"].records()
    assert {row["route"] for row in rows} == {"rest"}
    assert summed(rows, "submissions") == READ + REPLAYED + PAIRS
    assert max(row["slowest_ms"] for row in rows) == latencies(events, "total")[-1]


def test_errors_are_told_by_stage_and_code(found: dict[str, QueryResult]):
    rows = {(row["stage"], row["error_code"]): row for row in found["error_rates"].records()}
    assert rows.keys() == {
        ("decode", "unreadable-image"),
        ("total", "unreadable-image"),
        ("validate", "invalid-metadata"),
        ("total", "invalid-metadata"),
    }
    submissions = READ + REPLAYED + PAIRS + UNREADABLE + INVALID
    refused = rows["total", "unreadable-image"]
    assert (refused["status"], refused["events"]) == ("failed", UNREADABLE)
    assert refused["percent_of_stage"] == pytest.approx(100 * UNREADABLE / submissions)
    # What was read before is not decoded again.
    decoded = READ + PAIRS + UNREADABLE
    assert rows["decode", "unreadable-image"]["percent_of_stage"] == pytest.approx(
        100 * UNREADABLE / decoded
    )


def test_the_model_is_known_by_its_name_and_version(found: dict[str, QueryResult], events: Events):
    [row] = found["model_comparison"].records()
    assert (row["model"], row["model_version"]) == ("brightness", "1")
    assert row["submissions"] == READ + REPLAYED + PAIRS + UNREADABLE
    assert row["infer_p95_ms"] == rank(latencies(events, "infer"), 0.95)
    assert row["total_p50_ms"] == rank(latencies(events, "total"), 0.50)


def test_the_cost_is_the_runs(found: dict[str, QueryResult], events: Events):
    whole, *days = found["cost_per_1000_images"].records()
    assert whole["images"] == summed(days, "images") == READ + REPLAYED + 2 * PAIRS
    assert whole["telemetry_usd"] == pytest.approx((len(events) + READINGS) * 0.30 / 1e6)
    objects = (READ + REPLAYED + PAIRS) + (READ + REPLAYED + 2 * PAIRS)
    assert whole["requests_usd"] == pytest.approx(objects * 0.005 / 1000)
    times = [dt.datetime.fromisoformat(event["occurred_at"]) for event in events]
    ran_h = (max(times) - min(times)) / dt.timedelta(hours=1)
    # A minute a day at least; whole seconds.
    assert (
        len(days) / 60 <= whole["instance_hours"] <= max(len(days) / 60, ran_h + len(days) / 3600)
    )
    assert whole["usd_per_1000_images"] == pytest.approx(
        1000 * sum(whole[f"{part}_usd"] for part in ("compute", "storage", "requests", "telemetry"))
        / whole["images"]
    )  # fmt: skip


def test_nothing_is_wrong_with_a_gateways_telemetry(found: dict[str, QueryResult], events: Events):
    rows = found["data_quality"].records()
    assert {row["found"] for row in rows} == {0}
    assert {row["looked_at"] for row in rows} == {
        len(events) + READINGS,
        READ + PAIRS + UNREADABLE + INVALID,
    }


def test_the_report_is_of_this_run(folder: Path, tmp_path: Path, events: Events):
    page = tmp_path / "report.html"
    result = CliRunner().invoke(main, ["report", "--folder", str(folder), "--html", str(page)])
    assert result.exit_code == 0, result.output
    assert f"RadStream: {len(events) + READINGS:,} events in 1 file" in result.output
    assert f"{READ + REPLAYED + 2 * PAIRS} images read" in page.read_text()
