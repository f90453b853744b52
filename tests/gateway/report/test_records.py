"""The telemetry files as a table."""

from pathlib import Path

import pytest

from gateway.report import Records
from tests.support.analytics import FIRST_DAY, SECOND_DAY, lines_of, study, two_days, write

DAYS = f"{FIRST_DAY} 09:00 to {SECOND_DAY} 23:10 UTC"


def test_every_file_is_read_and_what_is_in_them_told(tmp_path: Path):
    events = two_days()
    files = [
        write(tmp_path, lines_of(events[:100])),
        write(tmp_path, lines_of(events[100:]), begun=SECOND_DAY),
    ]
    records = Records(files)
    assert records.described() == f"164 events in 2 files, {DAYS}"
    records.close()


def test_a_line_that_is_no_event_is_passed_over_and_told(tmp_path: Path):
    lines = lines_of(two_days())
    half = lines[-1][:100]  # a process was killed
    records = Records([write(tmp_path, ["[1]\n", *lines, "{}\n", half])])
    assert records.described() == f"164 events in 1 file, {DAYS}; lines that are no event: 3"
    records.close()


def test_files_that_went_since_they_were_listed_are_passed_over(tmp_path: Path):
    """As the oldest do where a gateway writes meanwhile."""
    events = two_days()
    gone = write(tmp_path, lines_of(events[:100]))
    stays = write(tmp_path, lines_of(events[100:]), begun=SECOND_DAY)
    gone.unlink()
    records = Records([gone, stays])
    assert records.described().startswith("64 events in 1 file,")
    records.close()
    stays.unlink()
    with pytest.raises(FileNotFoundError):
        Records([gone, stays])


def test_a_file_that_goes_while_the_others_are_opened_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    events = two_days()
    files = [write(tmp_path, lines_of(events[:100])), write(tmp_path, lines_of(events[100:]))]
    looks = iter([True, True])  # it was there when it was looked for, and is not when it is read
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: next(looks, None) or exists(path))
    files[0].unlink()
    records = Records(files)
    assert records.described().startswith("64 events in 1 file,")
    records.close()


def test_the_last_day_counts_to_its_end(tmp_path: Path):
    events = [
        *study("1", FIRST_DAY, "23:59:59.999"),
        *study("2", SECOND_DAY, "00:00:00"),
    ]
    records = Records([write(tmp_path, lines_of(events))], until=FIRST_DAY)
    assert records.described().startswith("7 events in 1 file")
    records.close()


def test_an_event_arrived_no_earlier_than_its_file_was_begun(tmp_path: Path):
    lines = lines_of(study("1", FIRST_DAY, "09:00:00"))
    for begun in (FIRST_DAY, SECOND_DAY):
        records = Records([write(tmp_path, lines, begun=begun)])
        _, rows = records.ask("SELECT DISTINCT arrived_on FROM telemetry")
        assert rows == [(begun,)]
        records.close()


def test_a_field_of_a_later_version_is_passed_over(tmp_path: Path):
    records = Records([write(tmp_path, lines_of(two_days(), ward="3 West"))])
    columns, _ = records.ask("FROM telemetry LIMIT 1")
    assert "ward" not in columns
    assert records.described() == f"164 events in 1 file, {DAYS}"
    records.close()
