"""The spool gives back what it counted, after a crash as well, and stays within its bounds."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.telemetry.records import TelemetryRecord
from gateway.telemetry.spool import Spool

RECORDS = [TelemetryRecord(f"{n:032x}", b'{"n":%d}\n' % n) for n in range(10)]
LINE = 8 + 1 + 32 + 1 + len(RECORDS[0].data)  # checksum, key, data


def spool(folder: Path, limit_bytes: int = 10**6, segment_bytes: int = 10**5) -> Spool:
    return Spool(folder, limit_bytes=limit_bytes, segment_bytes=segment_bytes)


def emptied(spool: Spool) -> list[TelemetryRecord]:
    records: list[TelemetryRecord] = []
    while segment := spool.oldest():
        records += segment.records
        spool.remove(segment)
    return records


def test_gives_back_what_it_took_in_order(tmp_path: Path):
    kept = spool(tmp_path)
    assert kept.append(RECORDS[:4]) == 4
    assert kept.append(RECORDS[4:]) == 6
    assert kept.used_bytes == 10 * LINE
    assert emptied(kept) == RECORDS
    assert kept.used_bytes == 0
    assert list(tmp_path.glob("*.spool")) == []


def test_a_segment_stays_until_it_is_removed(tmp_path: Path):
    kept = spool(tmp_path)
    kept.append(RECORDS[:1])
    assert kept.oldest() == kept.oldest()
    kept.append(RECORDS[1:2])  # what comes now goes to another segment
    first = kept.oldest()
    assert first is not None
    assert list(first.records) == RECORDS[:1]
    kept.remove(first)
    assert emptied(kept) == RECORDS[1:2]


def test_a_full_segment_is_followed_by_another(tmp_path: Path):
    kept = spool(tmp_path, segment_bytes=2 * LINE)
    for record in RECORDS:
        kept.append([record])
    assert len(list(tmp_path.glob("*.spool"))) == 5
    assert emptied(kept) == RECORDS


def test_the_next_process_finds_what_the_last_one_left(tmp_path: Path):
    first = spool(tmp_path, segment_bytes=3 * LINE)
    for record in RECORDS[:5]:
        first.append([record])
    first.close()
    second = spool(tmp_path)
    second.append(RECORDS[5:])
    assert second.used_bytes == 10 * LINE
    assert emptied(second) == RECORDS


def test_keeps_what_fits_and_says_how_many(tmp_path: Path):
    kept = spool(tmp_path, limit_bytes=4 * LINE + 1)
    assert kept.append(RECORDS[:3]) == 3
    assert kept.append(RECORDS[3:]) == 1
    assert kept.append(RECORDS[4:]) == 0
    assert kept.used_bytes <= 4 * LINE + 1
    assert emptied(kept) == RECORDS[:4]
    assert kept.append(RECORDS[4:8]) == 4


def test_a_torn_line_never_counted_and_does_no_harm(tmp_path: Path):
    kept = spool(tmp_path)
    kept.append(RECORDS[:3])
    kept.close()
    [path] = tmp_path.glob("*.spool")
    path.write_bytes(path.read_bytes()[: 2 * LINE + 20])
    segment = spool(tmp_path).oldest()
    assert segment is not None
    assert (list(segment.records), segment.damaged) == (RECORDS[:2], 0)


@pytest.mark.parametrize("at", [0, 12, 45, LINE - 2])
def test_a_flipped_bit_costs_one_record_and_is_counted(tmp_path: Path, at: int):
    kept = spool(tmp_path)
    kept.append(RECORDS[:3])
    kept.close()
    [path] = tmp_path.glob("*.spool")
    content = bytearray(path.read_bytes())
    content[LINE + at] ^= 1
    path.write_bytes(content)
    segment = spool(tmp_path).oldest()
    assert segment is not None
    assert (list(segment.records), segment.damaged) == ([RECORDS[0], RECORDS[2]], 1)


def test_one_process_at_a_time_has_the_folder(tmp_path: Path):
    first, second = spool(tmp_path), spool(tmp_path)
    first.append(RECORDS[:1])
    with capture_logs() as logs:
        assert second.append(RECORDS[1:]) == 0
        assert second.oldest() is None
    assert [entry["event"] for entry in logs] == ["telemetry.spool_unusable"]
    first.close()
    assert second.append(RECORDS[1:]) == 9
    assert emptied(second) == RECORDS


def test_trouble_with_the_disk_is_told_once_and_passes(tmp_path: Path):
    folder = tmp_path / "spool"
    folder.write_text("a file where the folder should be")
    kept = spool(folder)
    with capture_logs() as logs:
        assert kept.append(RECORDS) == 0
        assert kept.oldest() is None
        folder.unlink()
        assert kept.append(RECORDS) == 10
    assert [entry["event"] for entry in logs] == [
        "telemetry.spool_unusable",
        "telemetry.spool_usable",
    ]
    assert emptied(kept) == RECORDS


def test_a_segment_that_cannot_be_read_holds_up_no_other(tmp_path: Path):
    kept = spool(tmp_path, segment_bytes=LINE)
    for record in RECORDS[:3]:
        kept.append([record])
    first, *_ = sorted(tmp_path.glob("*.spool"))
    first.unlink()
    first.mkdir()
    (tmp_path / "notes.spool").write_text("somebody else's")
    with capture_logs() as logs:
        assert emptied(kept) == RECORDS[1:3]
    assert [entry["reason"] for entry in logs] == ["Is a directory"]
    assert kept.used_bytes == 0


def test_a_full_disk_leaves_what_was_there(tmp_path: Path):
    # The limit of a file's size stands for a disk that is full: both fail in the midst of a write.
    script = f"""
import resource, signal, sys
from pathlib import Path
from gateway.telemetry.records import TelemetryRecord
from gateway.telemetry.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
records = [TelemetryRecord(f"{{n:032x}}", b'{{"n":%d}}\\n' % n) for n in range(10)]
spool = Spool(Path(sys.argv[1]), limit_bytes=10**6)
assert spool.append(records[:3]) == 3
resource.setrlimit(resource.RLIMIT_FSIZE, ({5 * LINE}, {5 * LINE}))
assert spool.append(records[3:]) == 0
assert spool.append(records[3:5]) == 2
"""
    subprocess.run([sys.executable, "-c", script, tmp_path], check=True, capture_output=True)
    assert emptied(spool(tmp_path)) == RECORDS[:5]


def test_what_was_counted_survives_a_kill_in_the_midst_of_appending(tmp_path: Path):
    script = """
import sys
from pathlib import Path
from gateway.telemetry.records import TelemetryRecord
from gateway.telemetry.spool import Spool
spool = Spool(Path(sys.argv[1]), limit_bytes=10**8, segment_bytes=10**4)
n = 0
while True:
    records = [TelemetryRecord(f"{n + i:032x}", b'{"n":%d}\\n' % (n + i)) for i in range(50)]
    n += spool.append(records)
    print(n, flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = int((process.stdout.read().split() or [b"1000"])[-1])
    process.wait()
    process.stdout.close()
    found = emptied(spool(tmp_path))
    assert [int(record.key, 16) for record in found] == list(range(len(found)))
    assert 1000 <= acknowledged <= len(found) <= acknowledged + 50
