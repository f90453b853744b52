"""A study's document: every change is later than the one before, and it is study or closing."""

import datetime as dt

import pytest
from pydantic import ValidationError

from gateway.results.documents import StudyDocument, StudyRecord


def test_a_change_is_later_though_the_clock_was_set_back():
    ahead = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    record = StudyRecord.begun("S1").model_copy(update={"changed_at": ahead})
    changed = record.changed(images=1)
    assert changed.images == 1
    assert changed.changed_at > ahead


def test_a_document_has_a_record_or_a_closing():
    with pytest.raises(ValidationError):
        StudyDocument.model_validate({"schema": "radstream.result/2"})
