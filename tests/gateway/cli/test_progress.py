"""A bar tells how many, how fast and how long, where a person looks on, and nothing elsewhere."""

import os
import pty
import re
import subprocess
import sys

import pytest

SCRIPT = """
from gateway.cli.progress import progress
with progress("studies", {length}) as shown:
    for number in range(3):
        shown.echo(f"line {{number}}")
        shown.step()
"""


def run(length: int | None, *, on_terminal: bool) -> tuple[str, str]:
    """What a command prints on its standard output, and on its standard error."""
    command = [sys.executable, "-c", SCRIPT.format(length=length)]
    if not on_terminal:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout, done.stderr
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment
    )
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 4096):
            seen += data
    except OSError:  # Linux's end of a terminal
        pass
    finally:
        os.close(ours)
    out, _ = process.communicate()
    assert process.returncode == 0
    return out, seen.decode()


def test_a_person_sees_count_rate_and_time_left():
    out, err = run(3, on_terminal=True)
    assert out == "line 0\nline 1\nline 2\n"
    assert re.search(r"studies .*[12]/3.*\d/s, \d:\d\d:\d\d left", err)
    assert "3/3" in err


def test_without_a_length_there_is_no_time_left():
    _, err = run(None, on_terminal=True)
    assert re.search(r"3.*/s", err)
    assert "left" not in err


@pytest.mark.parametrize("length", [3, None])
def test_a_program_sees_the_lines_alone(length: int | None):
    assert run(length, on_terminal=False) == ("line 0\nline 1\nline 2\n", "")


def test_one_step_needs_no_bar():
    assert "studies" not in run(1, on_terminal=True)[1]
