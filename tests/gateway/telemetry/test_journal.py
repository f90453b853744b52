"""What a killed process had in memory alone comes out at the next start."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

from structlog.testing import capture_logs

from gateway.telemetry.journal import Journal, forget
from gateway.telemetry.records import TelemetryRecord
from tests.gateway.telemetry.test_telemetry import away, running
from tests.support.gateway import ROOT, until
from tests.support.telemetry import MemorySink, event_ids

# Takes five events, tells their ids, and is killed before any could be sent.
KILLED = """
import json, os, signal, sys
from pathlib import Path
from tests.gateway.telemetry.test_telemetry import Parts
from tests.support.telemetry import MemorySink

parts = Parts(MemorySink(), Path(sys.argv[1]))
print(json.dumps(parts.emit(5)), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("journal-*"))


def record(journal: Journal, number: int) -> TelemetryRecord:
    made = TelemetryRecord("key", b'{"number":%d}\n' % number, journal.generation)
    journal.note(made)
    return made


async def test_events_of_a_process_that_was_killed_are_sent_at_the_next_start(tmp_path: Path):
    command = [sys.executable, "-c", KILLED, tmp_path]
    killed = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    sink = MemorySink()
    async with running(sink, tmp_path) as parts:
        await until(lambda: len(sink.taken) == 5)
        await until(lambda: parts.spool.used_bytes == 0)
        assert event_ids(sink.taken) == json.loads(killed.stdout)
    assert files(tmp_path) == []


async def test_events_that_no_sink_takes_are_in_the_spool_and_leave_the_journal(tmp_path: Path):
    async with running(away(), tmp_path) as parts:
        sent = parts.emit(5)
        await until(lambda: parts.count("spooled_total") == 5)
    assert files(tmp_path) == []
    sink = MemorySink()
    async with running(sink, tmp_path):
        await until(lambda: len(sink.taken) == 5)
    assert event_ids(sink.taken) == sent


def test_a_file_goes_when_all_of_its_records_are_safe_elsewhere(tmp_path: Path):
    journal = Journal(tmp_path, file_bytes=50)  # two records
    first, second, third = (record(journal, number) for number in range(3))
    assert len(files(tmp_path)) == 2
    journal.settle([second, third])
    assert len(files(tmp_path)) == 2
    journal.settle([first])
    [current] = files(tmp_path)
    assert b'{"number":2}' in current.read_bytes()
    journal.close()
    assert files(tmp_path) == []


def test_what_a_living_process_has_is_left_to_it(tmp_path: Path):
    living = Journal(tmp_path)
    record(living, 1)
    assert list(Journal(tmp_path).left()) == []
    living.close()


def test_a_torn_record_costs_no_other(tmp_path: Path):
    journal = Journal(tmp_path)
    made = [record(journal, number) for number in range(2)]
    [path] = files(tmp_path)
    left = tmp_path / "journal-0.spool"
    left.write_bytes(path.read_bytes() + b"1c291ca3 key {")
    [segment] = journal.left()
    assert [each.data for each in segment.records] == [each.data for each in made]
    forget(segment)
    assert files(tmp_path) == [path]
    journal.close()


def test_a_folder_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path: Path):
    (tmp_path / "file").touch()
    journal = Journal(tmp_path / "file")
    with capture_logs() as events:
        journal.settle([record(journal, number) for number in range(3)])
    assert [(event["event"], event["reason"]) for event in events] == [
        ("telemetry.journal_unusable", "File exists")
    ]
