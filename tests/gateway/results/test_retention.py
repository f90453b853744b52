"""Studies that go by their age."""

import datetime as dt
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.audit.trail import GATEWAY, Audit, name_study
from gateway.errors import StoreUnavailableError
from gateway.observability.metrics import Metrics
from gateway.results.retention import Retention
from gateway.results.tombstone import Reason
from tests.support.audit import Trail


class Known:
    """Studies, and when something was last added to each."""

    def __init__(self, **changed_at: dt.datetime | None) -> None:
        self.changed = changed_at

    async def ids(self, *, after: str, limit: int) -> list[str]:
        del limit
        return [name for name in sorted(self.changed) if name > after][:2]

    async def changed_at(self, study_id: str) -> dt.datetime | None:
        return self.changed[study_id]


class Deleted:
    """What was deleted."""

    def __init__(self) -> None:
        self.study_ids: list[tuple[str, Reason]] = []

    async def delete(self, study_id: str, reason: Reason) -> None:
        name_study(study_id)
        if study_id == "broken":
            raise StoreUnavailableError("no space left")
        self.study_ids.append((study_id, reason))


def audit_in(trail: Trail) -> Audit:
    return Audit(trail, Metrics(CollectorRegistry()), instance="here")


async def test_studies_go_by_their_age_and_what_is_pending_stays():
    now = dt.datetime.now(dt.UTC)
    old, young = now - dt.timedelta(days=31), now - dt.timedelta(days=29)
    deleted: Any = Deleted()
    known: Any = Known(a=old, b=young, c=None, d=old, e=young)
    await Retention(known, deleted, audit_in(Trail()), days=30).sweep()
    assert deleted.study_ids == [("a", Reason.RETENTION), ("d", Reason.RETENTION)]


async def test_each_study_that_goes_by_its_age_has_a_record_of_its_own():
    """One that was kept for the sweep's end would be lost with the gateway, and never end."""
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=31)
    deleted: Any = Deleted()
    known: Any = Known(a=old, broken=old, c=old)
    trail = Trail()
    audit = audit_in(trail)
    with pytest.raises(StoreUnavailableError):
        async with audit.of_work("sweep: retention", GATEWAY):
            await Retention(known, deleted, audit, days=30).sweep()
    told = [(record["studies"], record["outcome"]) for record in trail.records]
    assert told == [(["a"], "success"), (["broken"], "failed")]
    assert {record["operation"] for record in trail.records} == {"retention: delete"}
    assert {record["action"] for record in trail.records} == {"D"}
    assert {record["agent"]["kind"] for record in trail.records} == {"gateway"}


async def test_clock_that_was_set_deletes_nothing(monkeypatch: pytest.MonkeyPatch):
    deleted: Any = Deleted()
    known: Any = Known(a=dt.datetime.now(dt.UTC) - dt.timedelta(days=31))
    retention = Retention(known, deleted, audit_in(Trail()), days=30)
    monkeypatch.setattr(retention, "_clock_offset_s", retention._clock_offset_s - 7200)
    await retention.sweep()
    assert deleted.study_ids == []
