"""The file by which Triton's container is asked to be started anew."""

from pathlib import Path

from structlog.testing import capture_logs

from gateway.triton.restart_flag import RestartFlag


def test_flag_is_a_file(tmp_path: Path):
    flag = RestartFlag(tmp_path / "restart")
    assert flag.restart()
    assert [path.name for path in tmp_path.iterdir()] == ["restart"]
    assert flag.restart()  # again, before it was seen
    assert flag.lost_backends() == frozenset()
    assert not flag.restarts_silent


def test_volume_that_is_not_there_is_told(tmp_path: Path):
    with capture_logs() as events:
        assert not RestartFlag(tmp_path / "nowhere" / "restart").restart()
    assert [event["event"] for event in events] == ["triton.restart_flag_failed"]
