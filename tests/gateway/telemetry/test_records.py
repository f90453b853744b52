"""Batches of records are as large as one call can take."""

from gateway.telemetry.records import (
    BATCH_BYTES,
    BATCH_RECORDS,
    batches,
)
from tests.gateway.telemetry.recorded import records


def test_batches_are_as_large_as_they_may_be():
    many = records(BATCH_RECORDS * 2 + 1)
    assert [len(batch) for batch in batches(many)] == [500, 500, 1]
    large = records(11, BATCH_BYTES // 5 - 32)
    assert [len(batch) for batch in batches(large)] == [5, 5, 1]
    assert [record for batch in batches(large) for record in batch] == large
    assert list(batches([])) == []
