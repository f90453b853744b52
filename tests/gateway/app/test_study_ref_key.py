"""The key of the names for studies is the same at every start where it can be."""

from pathlib import Path

from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway.app.study_ref_key import study_ref_key
from gateway.settings import TelemetrySettings


def test_a_key_that_is_set_is_taken(tmp_path: Path):
    settings = TelemetrySettings(spool_folder=tmp_path / "spool", study_ref_key=SecretStr("mine"))
    assert study_ref_key(settings) == "mine"
    assert not (tmp_path / "spool").exists()


def test_files_keep_one(tmp_path: Path):
    settings = TelemetrySettings(spool_folder=tmp_path)
    key = study_ref_key(settings)
    assert key is not None
    assert study_ref_key(settings) == key


def test_without_telemetry_there_is_none(tmp_path: Path):
    assert study_ref_key(TelemetrySettings(kind="none", spool_folder=tmp_path)) is None


def test_one_that_cannot_be_kept_is_none_and_the_log_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with capture_logs() as said:
        assert study_ref_key(TelemetrySettings(spool_folder=tmp_path / "file")) is None
    assert [event["event"] for event in said] == ["telemetry.key_not_kept"]
