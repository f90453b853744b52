"""Tombstones of studies that came again after they were deleted."""

import pytest

from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstone import Reason
from gateway.results.tombstones import Tombstones
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
