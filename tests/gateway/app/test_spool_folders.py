"""Spools of processes: each has one, and none is forgotten."""

from pathlib import Path

from gateway.app.spool_folders import left_spools, spool_of
from gateway.settings import HttpSettings, Settings, TelemetrySettings


def test_the_first_process_has_the_folder_itself(tmp_path: Path):
    assert spool_of(tmp_path, 1) == tmp_path
    assert spool_of(tmp_path, 3) == tmp_path / "worker-3"


def test_folders_beyond_the_number_of_processes_are_left(tmp_path: Path):
    for name in ("worker-2", "worker-3", "worker-10", "worker-x", "other"):
        (tmp_path / name).mkdir()
    telemetry = TelemetrySettings(spool_folder=tmp_path)
    for workers, left in ((1, {"worker-2", "worker-3", "worker-10"}), (3, {"worker-10"})):
        settings = Settings(http=HttpSettings(workers=workers), telemetry=telemetry)
        assert {folder.name for folder in left_spools(settings)} == left


def test_nothing_is_left_where_there_is_no_folder(tmp_path: Path):
    telemetry = TelemetrySettings(spool_folder=tmp_path / "none")
    assert left_spools(Settings(telemetry=telemetry)) == []
