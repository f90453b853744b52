"""The named queries, run by DuckDB on rows whose answers are counted by hand.

sqlglot translates them from Athena's dialect; that Athena itself takes them only AWS can show.
"""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
import sqlglot

from tests.support.aws import ROOT, Package

# event_id, time of day, study_ref, stage, status, latency_ms, error_code
ROWS = [
    ("e1", "09:10:00", "s1", "infer", "success", 10.0, None),
    ("e2", "09:20:00", "s2", "infer", "success", 30.0, None),
    ("e2", "09:20:00", "s2", "infer", "success", 30.0, None),  # delivered twice
    ("e3", "10:05:00", "s3", "infer", "success", 50.0, None),
    ("e4", "10:06:00", "s4", "infer", "error", 5.0, "triton-unavailable"),
    ("e5", "10:07:00", "s5", "decode", "failed", 1.0, "image-damaged"),
    ("e6", "10:08:00", "s3", "decode", "success", 2.0, None),
]

DUCKDB_TYPES = {"string": "VARCHAR", "int": "INTEGER"}


@pytest.fixture
def telemetry(dev: Package) -> Iterator[duckdb.DuckDBPyConnection]:
    """The table with Glue's columns, today's rows, and one of last month that must not count."""
    table = dev.properties("TelemetryTable")["TableInput"]
    columns = table["StorageDescriptor"]["Columns"] + table["PartitionKeys"]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        declared = ", ".join(
            f'"{column["Name"]}" {DUCKDB_TYPES.get(column["Type"], column["Type"])}'
            for column in columns
        )
        connection.execute(f"CREATE TABLE telemetry ({declared})")
        insert = """
            INSERT INTO telemetry
                (event_id, occurred_at, study_ref, stage, status, latency_ms, error_code,
                 arrived_on)
            VALUES ($1, current_date + CAST($2 AS TIME) - to_days($8), $3, $4, $5, $6, $7,
                    CAST(current_date - to_days($8) AS DATE))
        """
        for row in ROWS:
            connection.execute(insert, [*row, 0])
        connection.execute(insert, ["old", "09:00:00", "s0", "infer", "success", 999.0, None, 30])
        yield connection


def answer(connection: duckdb.DuckDBPyConnection, name: str) -> list[dict[str, Any]]:
    query = (ROOT / "serverless/athena" / f"{name}.sql").read_text()
    (translated,) = sqlglot.transpile(query, read="athena", write="duckdb")
    found = connection.execute(translated)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_stage_latency(telemetry: duckdb.DuckDBPyConnection) -> None:
    rows = answer(telemetry, "stage_latency")
    assert [(row["hour"].hour, row["stage"], row["events"]) for row in rows] == [
        (9, "infer", 2),
        (10, "decode", 1),
        (10, "infer", 1),
    ]
    assert (rows[2]["p50_ms"], rows[2]["p95_ms"], rows[2]["p99_ms"]) == (50.0, 50.0, 50.0)


def test_throughput(telemetry: duckdb.DuckDBPyConnection) -> None:
    rows = answer(telemetry, "throughput")
    assert [(row["hour"].hour, row["studies"], row["successful"]) for row in rows] == [
        (9, 2, 2),
        (10, 3, 1),
    ]


def test_error_rates(telemetry: duckdb.DuckDBPyConnection) -> None:
    rows = {row["stage"]: row for row in answer(telemetry, "error_rates")}
    assert rows.keys() == {"infer", "decode"}
    assert (rows["infer"]["error_code"], rows["infer"]["percent"]) == ("triton-unavailable", 25.0)
    assert (rows["decode"]["error_code"], rows["decode"]["percent"]) == ("image-damaged", 50.0)
