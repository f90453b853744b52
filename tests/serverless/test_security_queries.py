"""The named query over the audit trail's table, run by DuckDB on records as the gateway writes."""

import datetime as dt
import json
from pathlib import Path

import duckdb
import sqlglot

from gateway.schemas.audit import AuditRecord
from tests.support.aws import Package

TYPES = {
    "string": "VARCHAR",
    "int": "INTEGER",
    "array<string>": "VARCHAR[]",
    "struct<kind:string,name:string>": "STRUCT(kind VARCHAR, name VARCHAR)",
}


def _columns(dev: Package) -> dict[str, str]:
    """Name and type in DuckDB of each of the table's columns."""
    table = dev.properties("AuditTable")["TableInput"]
    columns = table["StorageDescriptor"]["Columns"]
    return {column["Name"]: TYPES[column["Type"]] for column in columns}


def _line(name: str, studies: list[str], when: dt.datetime, outcome: str = "success") -> str:
    """One record, as it lies in the bucket."""
    record = AuditRecord.model_validate(
        {
            "schema": "radstream.audit/1",
            "id": "6f0c7f0e-52c4-4b4e-9a56-6a4f0a8d1c11",
            "recorded_at": when,
            "operation": "GET /v1/studies/{study_id}",
            "action": "R",
            "outcome": outcome,
            "agent": {"kind": "key", "name": name},
            "studies": studies,
            "instance": "gateway-0",
        }
    )
    return record.model_dump_json(by_alias=True)


def test_the_table_has_the_records_fields(dev: Package) -> None:
    fields = AuditRecord.model_fields.items()
    assert list(_columns(dev)) == [field.alias or name for name, field in fields]


def test_who_saw_a_study(dev: Package, tmp_path: Path) -> None:
    query = dev.properties("WhoSawStudyQuery")["QueryString"]
    now = dt.datetime.now(dt.UTC)
    lines = [
        _line("pacs", ["X", "Y"], now - dt.timedelta(hours=1)),
        _line("ris", ["X"], now, "refused"),
        _line("other", ["Y"], now),
        _line("long-ago", ["X"], now - dt.timedelta(days=99)),
    ]
    file = tmp_path / "audit.jsonl"
    file.write_text("\n".join(lines))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(
            "CREATE TABLE audit AS SELECT *, CAST(recorded_at[:10] AS DATE) AS recorded_on "
            "FROM read_json($file, format = 'newline_delimited', columns = $columns)",
            {"file": str(file), "columns": _columns(dev)},
        )
        [translated] = sqlglot.transpile(query, read="athena", write="duckdb")
        found = connection.execute(translated, ["X"]).fetchall()
    assert [(row[2], row[6]) for row in found] == [("ris", "refused"), ("pacs", "success")]


def test_its_answers_lie_apart_from_the_telemetry(dev: Package) -> None:
    assert dev.properties("WhoSawStudyQuery")["WorkGroup"] == {"Ref": "SecurityWorkgroup"}
    group = dev.properties("SecurityWorkgroup")["WorkGroupConfiguration"]
    assert "LogsBucket" in json.dumps(group["ResultConfiguration"]["OutputLocation"])
