"""The telemetry files of a folder as a table that the named queries can be asked of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb

from gateway.schemas.telemetry_table import columns

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence
    from pathlib import Path

_TABLE = """
CREATE TABLE telemetry AS
SELECT
    * EXCLUDE (filename),
    greatest(
        CAST(occurred_at AS DATE),
        CAST(strptime(regexp_extract(filename, 'telemetry-(\\d{8})T', 1), '%Y%m%d') AS DATE)
    ) AS arrived_on
FROM read_json(
    $files, format = 'newline_delimited', columns = $columns, ignore_errors = true, filename = true
)
"""
_JUDGEMENTS = """
CREATE TABLE judgements (
    study_ref VARCHAR, label VARCHAR, present BOOLEAN, source VARCHAR, judged_at TIMESTAMP
)
"""
_TYPES = {"string": "VARCHAR", "number": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN"}


class Records:
    """The records of the files, in a DuckDB in memory, until closed.

    Parameters
    ----------
    files
        JSON lines as `gateway.telemetry.json_lines_sink` writes them. Those that are gone by now
        are passed over: a running gateway removes its oldest.
    until
        The last day that counts, UTC; all do if None.

    Raises
    ------
    FileNotFoundError
        All are gone.

    Notes
    -----
    The table is the Glue table's twin. Nobody notes when a line was written, so that `arrived_on`
    is the earliest day it can be: no event comes before it occurs, nor before its file was begun.
    """

    def __init__(self, files: Sequence[Path], *, until: dt.date | None = None) -> None:
        # Extensions come with the package or not at all: none is fetched.
        self._connection = duckdb.connect(config={"autoinstall_known_extensions": False})
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(_JUDGEMENTS)
        self._files = self._load(files)
        self._unreadable = self._deleted("event_id IS NULL OR occurred_at IS NULL")
        if until is not None:
            self._deleted("CAST(occurred_at AS DATE) > $1", until)

    def ask(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Return the names of the answer's columns, and its rows."""
        answer = self._connection.execute(sql)
        return [column[0] for column in answer.description], answer.fetchall()

    def write(self, sql: str, file: Path) -> int:
        """Write the rows of an answer to a file, and return their number.

        Parameters
        ----------
        file
            CSV with a line of headings where its name ends so, else JSON, a line for each row.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        form = "csv, header" if file.suffix == ".csv" else "json"
        try:
            copied = self._connection.execute(f"COPY ({sql}) TO $1 (FORMAT {form})", [str(file)])
        except duckdb.IOException as error:
            raise OSError(str(error)) from error
        [(count,)] = copied.fetchall()
        return int(count)

    def judge(self, study_ref: str, label: str, present: bool, source: str, at: str) -> None:
        """Keep a judgement on a label of a study, as the table `judgements` has it.

        Parameters
        ----------
        present
            True if the study has the finding.
        source
            `reader` or `report`.
        at
            Time of it, by RFC 3339.
        """
        row = [study_ref, label, present, source, at]
        self._connection.execute(
            "INSERT INTO judgements VALUES ($1, $2, $3, $4, CAST($5 AS TIMESTAMPTZ))", row
        )

    def described(self) -> str:
        """Return as text the number of records, their time span and the lines that are no event."""
        _, [(count, first, last)] = self.ask(
            "SELECT count(*), min(occurred_at), max(occurred_at) FROM telemetry"
        )
        text = f"{count:,} events in {self._files} file{'s' if self._files > 1 else ''}"
        if count:
            text += f", {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
        if self._unreadable:  # such as the half line of a process that was killed
            text += f"; lines that are no event: {self._unreadable:,}"
        return text

    def close(self) -> None:
        """Forget the records."""
        self._connection.close()

    def _load(self, files: Sequence[Path]) -> int:
        """Load the files, and return the number of those that were there to be read."""
        there = [file for file in files if file.exists()]
        if not there:
            raise FileNotFoundError
        try:
            self._connection.execute(
                _TABLE, {"files": [str(file) for file in there], "columns": _columns()}
            )
        except duckdb.IOException:
            if all(file.exists() for file in there):
                raise
            return self._load(there)  # one went in between
        return len(there)

    def _deleted(self, condition: str, *values: object) -> int:
        """Delete the records that the condition holds for, and return their number."""
        deleted = f"DELETE FROM telemetry WHERE {condition}"  # noqa: S608 - all are in this class
        [(count,)] = self._connection.execute(deleted, values).fetchall()
        return int(count)


def _columns() -> dict[str, str]:
    """Return DuckDB's type of each field of an event."""
    return {name: _type(field) for name, field in columns().items()}


def _type(field: dict[str, Any]) -> str:
    return "TIMESTAMP" if field.get("format") == "date-time" else _TYPES[field["type"]]
