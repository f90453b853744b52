"""What files have and a stream has not: rotation, bounds, a disk that fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.telemetry.json_lines_sink import JsonLinesSink
from gateway.telemetry.records import SinkUnavailableError, TelemetryRecord

RECORD = TelemetryRecord("k", b'{"n":1234}\n')  # 11 bytes


def sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in sorted(folder.iterdir())]


async def test_a_full_file_is_followed_by_another(tmp_path: Path):
    sink = JsonLinesSink(tmp_path, file_bytes=22, folder_bytes=1000)
    for _ in range(5):
        await sink.put([RECORD])
    await sink.close()
    assert sizes(tmp_path) == [22, 22, 11]


async def test_the_oldest_files_make_room(tmp_path: Path):
    sink = JsonLinesSink(tmp_path, file_bytes=22, folder_bytes=66)
    (tmp_path / "notes.txt").write_text("somebody else's")
    for number in range(20):
        await sink.put([TelemetryRecord("k", b'{"n":%4d}\n' % number)])
    await sink.close()
    files = sorted(tmp_path.glob("telemetry-*.jsonl"))
    kept = b"".join(path.read_bytes() for path in files)
    assert len(kept) <= 66
    assert kept.endswith(b'{"n":  18}\n{"n":  19}\n')
    assert (tmp_path / "notes.txt").exists()


async def test_two_processes_may_share_the_folder(tmp_path: Path):
    sinks = [JsonLinesSink(tmp_path, file_bytes=1000, folder_bytes=10_000) for _ in range(2)]
    for sink in sinks:
        await sink.put([RECORD, RECORD])
    for sink in sinks:
        await sink.close()
    assert sizes(tmp_path) == [22, 22]


async def test_a_file_that_somebody_removed_is_begun_anew(tmp_path: Path):
    sink = JsonLinesSink(tmp_path, file_bytes=1000, folder_bytes=10_000)
    await sink.put([RECORD])
    for path in tmp_path.iterdir():
        path.unlink()
    await sink.put([RECORD])
    await sink.close()
    assert sizes(tmp_path) == [11]


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "telemetry").write_text("a file where the folder should be")
    sink = JsonLinesSink(tmp_path / "telemetry", file_bytes=1000, folder_bytes=10_000)
    with pytest.raises(SinkUnavailableError, match="File exists"):
        await sink.put([RECORD])
    (tmp_path / "telemetry").unlink()
    await sink.put([RECORD])
    await sink.close()
    assert sizes(tmp_path / "telemetry") == [11]


def test_a_full_disk_takes_all_of_a_batch_or_nothing(tmp_path: Path):
    # The limit of a file's size stands for a disk that is full: both fail in the midst of a write.
    script = """
import asyncio, resource, signal, sys
from pathlib import Path
from gateway.telemetry.json_lines_sink import JsonLinesSink
from gateway.telemetry.records import SinkUnavailableError, TelemetryRecord
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (30, 30))
async def main():
    sink = JsonLinesSink(Path(sys.argv[1]), file_bytes=1000, folder_bytes=10_000)
    record = TelemetryRecord("k", b'{"n":1234}\\n')
    await sink.put([record])
    try:
        await sink.put([record, record])
    except SinkUnavailableError as error:
        print(error.reason)
    await sink.put([record])
    await sink.close()
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], check=True, capture_output=True, text=True
    )
    assert done.stdout == "File too large\n"
    assert sizes(tmp_path) == [22]
