"""The telemetry files as a table."""

from pathlib import Path

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
