"""Tombstones of studies that came again after they were deleted."""

import datetime as dt

import pytest

from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstone import Reason
from gateway.results.tombstones import Tombstones, last_deleted_at
from tests.gateway.results.test_deletion import begun
from tests.support.deletion import deletion_on
from tests.support.store import MemoryStore


@pytest.mark.parametrize("reasons", [[], [Reason.REQUEST], [Reason.RETENTION, Reason.REQUEST]])
async def test_deletions_on_request_are_counted(reasons: list[Reason]):
    objects = MemoryStore()
    for reason in reasons:
        await StudyDocuments(objects).change("S1", begun("S1"))
        deletion = deletion_on(objects, closed_s=0.0)
        await deletion.delete("S1", reason)
        await deletion.sweep()
    tombstones = Tombstones(objects)
    assert await tombstones.requests("S1") == reasons.count(Reason.REQUEST)
    assert await tombstones.requests("S2") == 0


def test_last_deletion_is_told_by_the_keys_of_tombstones():
    assert last_deleted_at([]) is None
    assert last_deleted_at(["deleted/00/stray.json"]) is None
    keys = [f"deleted/00/2026013{day}T120000000001Z.json" for day in (1, 0)]
    assert last_deleted_at(keys) == dt.datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=dt.UTC)
