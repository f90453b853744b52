"""Whether a gateway still runs, told by processes that really end."""

import subprocess
import sys
from pathlib import Path

from gateway.storage.presence import Presence

LIVE = """
import sys
from pathlib import Path
from gateway.storage.presence import Presence
presence = Presence(Path(sys.argv[1]))
print(presence.name, flush=True)
sys.stdin.read()
"""


def started(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A process that is present in the folder, and its name there."""
    process = subprocess.Popen(
        [sys.executable, "-c", LIVE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_gateway_has_ended_once_its_process_was_killed_and_not_before(tmp_path: Path):
    here = Presence(tmp_path)
    process, name = started(tmp_path)
    with process:
        assert not here.has_ended(name)
        assert not here.has_ended(here.name)
        process.kill()
        process.wait()
        assert here.has_ended(name)
        assert here.has_ended(name)
    here.close()
    assert list(tmp_path.iterdir()) == []


def test_next_gateway_clears_what_those_before_it_left(tmp_path: Path):
    process, _ = started(tmp_path)
    with process:
        process.kill()
    here = Presence(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [here.name]
    here.close()


def test_gateway_that_closed_has_ended(tmp_path: Path):
    one, other = Presence(tmp_path), Presence(tmp_path)
    assert not one.has_ended(other.name)
    other.close()
    assert one.has_ended(other.name)
    one.close()
