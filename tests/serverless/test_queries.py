"""The named queries over the Glue table, run by DuckDB.

sqlglot translates them from Athena's dialect; that Athena itself takes them only AWS can show.
What they answer is in tests/gateway/report/test_questions.py.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from gateway.report import Question, Records, questions
from gateway.report.questions import in_duckdb
from tests.support.analytics import TODAY, lines_of, two_days, write
from tests.support.aws import Package

DUCKDB_TYPES = {"string": "VARCHAR", "int": "INTEGER"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two days of telemetry."""
    return write(tmp_path, lines_of(two_days()))


@pytest.fixture
def table(dev: Package, file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The table with Glue's columns, its records delivered twice."""
    described = dev.properties("TelemetryTable")["TableInput"]
    columns = {
        column["Name"]: DUCKDB_TYPES.get(column["Type"], column["Type"])
        for column in described["StorageDescriptor"]["Columns"]
    }
    [partition] = described["PartitionKeys"]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            f"""
            CREATE TABLE telemetry AS
            SELECT *, CAST(occurred_at AS {partition["Type"]}) AS "{partition["Name"]}"
            FROM read_json($files, format = 'newline_delimited', columns = $columns)
            """,  # noqa: S608 - the names are the template's
            {"files": [str(file)] * 2, "columns": columns},
        )
        yield connection


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.name)
def test_the_glue_table_answers_as_the_files_do(
    question: Question, table: duckdb.DuckDBPyConnection, file: Path
) -> None:
    records = Records([file, file])
    _, from_files = records.ask(in_duckdb(question.sql))
    records.close()
    assert table.execute(in_duckdb(question.sql)).fetchall() == [
        tuple(map(_about, row)) for row in from_files
    ]
    assert from_files


def _about(value: object) -> object:
    """The value; threads add floating-point numbers up in any order."""
    return pytest.approx(value) if isinstance(value, float) else value


@pytest.mark.parametrize("question", questions(), ids=lambda question: question.name)
def test_only_the_windows_partitions_are_opened(
    question: Question, table: duckdb.DuckDBPyConnection
) -> None:
    scans = [
        table.find_ancestor(exp.Select)
        for table in sqlglot.parse_one(question.sql, read="athena").find_all(exp.Table)
        if table.name == "telemetry"
    ]
    assert len(scans) == 1
    # Athena prunes by what it can compute before it reads: a column against a constant.
    constant = "arrived_on >= CURRENT_DATE - INTERVAL '30' DAY"
    [scan] = scans
    assert scan is not None
    conditions = scan.args["where"].this.flatten()
    assert constant in {condition.sql("athena", comments=False) for condition in conditions}
    # A row that such a partition holds, though it could not.
    before = [tuple(map(_about, row)) for row in table.execute(in_duckdb(question.sql)).fetchall()]
    table.execute(
        "INSERT INTO telemetry SELECT * REPLACE (md5(event_id) AS event_id, $1 AS arrived_on) "
        "FROM telemetry LIMIT 1",
        [TODAY - dt.timedelta(days=31)],
    )
    assert table.execute(in_duckdb(question.sql)).fetchall() == before
