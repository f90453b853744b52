"""The stack's Glue tables in DuckDB, to run its queries over."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from tests.support.aws import Package


class Tables:
    """Tables with Glue's columns in DuckDB."""

    def __init__(self, dev: Package, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self._dev = dev
        self._folder = folder
        self._connection = connection

    def fill(self, logical_id: str, rows: Sequence[tuple[dt.datetime, dict[str, Any]]]) -> None:
        """Make a table of JSON documents, each in the partition of its day."""
        table = self._dev.properties(logical_id)["TableInput"]
        columns = columns_of(table)
        [partition] = table["PartitionKeys"]
        day = table["Parameters"][f"projection.{partition['Name']}.format"]
        strftime = day.replace("yyyy", "%Y").replace("MM", "%m").replace("dd", "%d")
        lines = [
            _as_deserialized(row, columns) | {partition["Name"]: when.strftime(strftime)}
            for when, row in rows
        ]
        file = self._folder / f"{logical_id}.jsonl"
        file.write_text("\n".join(map(json.dumps, lines)))
        self._connection.execute(
            f'CREATE TABLE "{table["Name"]}" AS FROM '
            "read_json($file, format = 'newline_delimited', columns = $columns)",
            {
                "file": str(file),
                "columns": {
                    name: _in_duckdb(kind)
                    for name, kind in [*columns.items(), (partition["Name"], partition["Type"])]
                },
            },
        )

    def ask(self, logical_id: str, *parameters: str) -> list[dict[str, Any]]:
        """Run a named query as it stands in the template."""
        return self.run(self._dev.properties(logical_id)["QueryString"], *parameters)

    def roll_up(self, logical_id: str) -> list[dict[str, Any]]:
        """Run a prepared statement that inserts; return its table's rows, sorted."""
        statement = self._dev.properties(logical_id)
        self.run(statement["QueryStatement"])
        rows = self.run(f"SELECT * FROM {statement['StatementName']}")  # noqa: S608 - the template's
        return sorted(rows, key=lambda row: [str(value) for value in row.values()])

    def run(self, query: str, *parameters: str) -> list[dict[str, Any]]:
        """Run a query that is written for Athena."""
        [translated] = sqlglot.transpile(query, read="athena", write="duckdb")
        found = self._connection.execute(translated, list(parameters))
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def columns_of(table: dict[str, Any]) -> dict[str, str]:
    """Glue's type of each column by name."""
    return {column["Name"]: column["Type"] for column in table["StorageDescriptor"]["Columns"]}


def _in_duckdb(kind: str) -> str:
    return exp.DataType.build(kind, dialect="hive").sql("duckdb")


def _as_deserialized(row: dict[str, Any], columns: dict[str, str]) -> dict[str, Any]:
    """Return the row as JsonSerDe does: names in lower case, objects in text columns as text."""
    lower = {key.lower(): value for key, value in row.items()}
    return {
        key: json.dumps(value)
        if columns.get(key) == "string" and isinstance(value, dict | list)
        else _lower(value)
        for key, value in lower.items()
    }


def _lower(value: Any) -> Any:
    match value:
        case dict():
            return {key.lower(): _lower(item) for key, item in value.items()}
        case list():
            return [_lower(item) for item in value]
        case _:
            return value
