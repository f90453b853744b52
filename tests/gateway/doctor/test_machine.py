"""The machine's limits."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.doctor.findings import Finding, Outcome
from gateway.doctor.machine import machine_findings
from gateway.settings import HttpSettings, Settings, StoreSettings, TelemetrySettings


def settings(folder: Path, **changes: object) -> Settings:
    return Settings(
        store=StoreSettings(folder=folder / "store"),
        telemetry=TelemetrySettings(folder=folder / "t", spool_folder=folder / "spool"),
        **changes,
    )


def found(of: Settings, target: str) -> Finding:
    [finding] = [each for each in machine_findings(of) if each.target == target]
    return finding


@pytest.fixture
def few_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_folders_are_looked_at_and_not_made(tmp_path: Path):
    of = settings(tmp_path)
    targets = [each.target for each in machine_findings(of)]
    assert targets[:3] == [str(tmp_path / name) for name in ("store", "t", "spool")]
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_a_folder(tmp_path: Path):
    (tmp_path / "store").write_text("")
    finding = found(settings(tmp_path), str(tmp_path / "store"))
    assert finding.outcome is Outcome.FAULT
    assert "RADSTREAM_STORE__FOLDER" in (finding.change or "")


def test_a_folder_that_cannot_be_written_to():
    finding = found(settings(Path("/proc")), "/proc/store")
    assert finding.outcome is Outcome.FAULT
    assert "cannot be written to" in finding.detail


@pytest.mark.usefixtures("few_files")
def test_fewer_open_files_than_connections(tmp_path: Path):
    many = settings(tmp_path, http=HttpSettings(connections=4000))
    finding = found(many, "open files")
    assert finding.outcome is Outcome.FAULT
    assert "ulimit -n 4160" in (finding.change or "")
    few = settings(tmp_path, http=HttpSettings(connections=100))
    assert found(few, "open files").outcome is Outcome.OK


def test_inotify_is_asked_where_a_folder_is_watched(tmp_path: Path):
    assert found(settings(tmp_path), "inotify").detail
