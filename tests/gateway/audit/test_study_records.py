"""Records of one study are found in the trail's files, newest first."""

import datetime as dt
import os
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.audit import study_records
from gateway.audit.study_records import records_of
from gateway.schemas.audit import AuditAction, AuditOutcome, AuditRecord

DAY = dt.date(2026, 1, 31)
NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def line(minute: int, *studies: str) -> str:
    record = AuditRecord(
        id=uuid4(),
        recorded_at=NOON + dt.timedelta(minutes=minute),
        operation=f"act {minute}",
        action=AuditAction.READ,
        outcome=AuditOutcome.SUCCESS,
        studies=studies,
        instance="test",
    )
    return record.model_dump_json(by_alias=True, exclude_none=True)


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / f"audit-{name}.jsonl"
    path.write_text("".join(f"{each}\n" for each in lines))
    return path


def told(folder: Path, study_id: str = "S1") -> tuple[list[str], bool]:
    found = records_of(folder, study_id, since=DAY)
    return [record.operation for record in found.records], found.is_whole


def test_records_of_other_studies_and_what_is_no_record_are_passed_over(tmp_path: Path):
    write(tmp_path, "2026-01-31-1", line(0, "S1"), line(1, "S11"), line(2, "S2", "S1"))
    write(
        tmp_path,
        "2026-02-01-1",
        line(9, "S1"),
        line(8, "S1"),
        line(7, "S2").replace("act", '\\"S1\\"'),
        '{"S1": "S1"',
    )
    assert told(tmp_path) == (["act 9", "act 8", "act 2", "act 0"], True)
    assert told(tmp_path, "S3") == ([], True)
    assert told(tmp_path / "none") == ([], True)


def test_files_from_before_the_study_are_not_read(tmp_path: Path):
    old = write(tmp_path, "2026-01-30-1", line(0, "S1"))
    before = dt.datetime(2026, 1, 30, 23, tzinfo=dt.UTC).timestamp()
    os.utime(old, (before, before))
    assert told(tmp_path) == ([], True)


def test_of_very_many_the_newest_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(study_records, "_MOST_RECORDS", 3)
    write(tmp_path, "2026-01-31-1", *(line(minute, "S1") for minute in range(5)))
    assert told(tmp_path) == (["act 4", "act 3", "act 2"], False)


def test_so_many_bytes_are_read_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    last = line(1, "S1")
    monkeypatch.setattr(study_records, "_MOST_BYTES", len(last) + 20)
    write(tmp_path, "2026-01-31-1", line(0, "S1"), last)
    assert told(tmp_path) == (["act 1"], False)


def test_a_study_of_another_tenant_is_another_study(tmp_path: Path):
    north = line(1, "S1").replace('"instance"', '"tenant":"north","instance"')
    write(tmp_path, "2026-01-31-1", line(0, "S1"), north)
    assert told(tmp_path) == (["act 0"], True)
    found = {
        tenant: records_of(tmp_path, "S1", since=DAY, tenant=tenant).records
        for tenant in ("north", "south")
    }
    assert [record.operation for record in found["north"]] == ["act 1"]
    assert found["south"] == ()
