"""Objects with the entries of a day are read as they were written, or told to be damaged."""

import datetime as dt

import pytest

from gateway.errors import UnreadableDocumentError
from gateway.schemas.result import Status
from gateway.search.day_file import DayFile, merged
from gateway.search.entries import IndexEntry

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def entry(study_id: str, seconds: int = 0) -> IndexEntry:
    changed_at = NOON + dt.timedelta(seconds=seconds)
    return IndexEntry(
        study_id=study_id, received_at=NOON, changed_at=changed_at, state=Status.COMPLETED
    )


def test_a_file_is_read_as_it_was_written():
    file = DayFile({"S2": entry("S2"), "S1": entry("S1")}, revision=3, is_full=True)
    assert DayFile.of("part", file.data()) == file
    other = DayFile({"S1": entry("S1"), "S2": entry("S2")}, revision=3, is_full=True)
    assert other.data() == file.data()


def test_the_entry_of_the_latest_document_counts():
    assert merged([entry("S1", 2)], [entry("S1", 1)]) == {"S1": entry("S1", 2)}


@pytest.mark.parametrize("damaged", [b"", b"{}", DayFile().data()[:-9]])
def test_a_damaged_file_is_told(damaged: bytes):
    with pytest.raises(UnreadableDocumentError):
        DayFile.of("part", damaged)
