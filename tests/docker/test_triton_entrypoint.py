"""The entry point of Triton's images, run by a real shell around servers that behave or do not."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gateway import ROOT

ENTRYPOINT = ROOT / "docker/triton-entrypoint"
# Each says its process id once it is ready, and goes on until it is told to stop.
OBEDIENT = "trap 'exit 3' TERM; echo $$; while :; do sleep 0.05; done"
STUBBORN = "trap '' TERM; echo $$; while :; do sleep 0.05; done"


@contextmanager
def started(script: str, flag: Path | None) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The entry point around a server, and the server's process id."""
    environment = {"PATH": "/usr/bin:/bin", "RADSTREAM_EXIT_SECONDS": "1"}
    if flag is not None:
        environment["RADSTREAM_RESTART_FLAG"] = str(flag)
    with subprocess.Popen(
        # A shell cannot trap what was ignored when it began, as SIGINT is in a background job.
        ["env", "--default-signal=INT", ENTRYPOINT, "sh", "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize("script", [OBEDIENT, STUBBORN])
def test_flag_ends_the_server_and_the_container(tmp_path: Path, script: str):
    flag = tmp_path / "restart"
    with started(script, flag) as (process, server):
        flag.touch()
        _, said = process.communicate(timeout=30)
        assert process.returncode == 70
        assert "no model answers" in said
        assert not flag.exists()
        assert not Path(f"/proc/{server}").exists()


def test_flag_of_the_server_before_ends_nothing(tmp_path: Path):
    flag = tmp_path / "restart"
    flag.touch()
    with started(OBEDIENT, flag) as (process, _server):
        assert not flag.exists()
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_stop_is_the_servers_and_its_status_the_containers(
    tmp_path: Path, number: signal.Signals
):
    with started(OBEDIENT, tmp_path / "restart") as (process, _server):
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode == 3


def test_server_that_ends_by_itself_ends_the_container_with_its_status(tmp_path: Path):
    with started("echo $$; exit 7", tmp_path / "restart") as (process, _server):
        process.communicate(timeout=30)
        assert process.returncode == 7


def test_without_a_flag_the_server_takes_the_entry_points_place():
    with started(OBEDIENT, None) as (process, server):
        assert process.pid == server
