"""What a deletion takes, what it leaves, and what it does to a study under way."""

import datetime as dt
import json
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from prometheus_client import CollectorRegistry

from gateway.audit.trail import GATEWAY, Audit, name_study
from gateway.errors import StoreUnavailableError, StudyBeingDeletedError
from gateway.observability.metrics import Metrics
from gateway.results.retention import Retention
from gateway.results.tombstone import Reason
from gateway.storage.s3 import S3Store
from tests.support.audit import Trail
from tests.support.deletion import deletion_on
from tests.support.models import flat_png
from tests.support.pairing import Readings, gateway_on, sidecar
from tests.support.s3 import make_buckets, s3, store_settings
from tests.support.store import MemoryStore

TYPE = "application/octet-stream"


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


async def test_parked_and_waiting_halves_of_the_study_go_and_others_stay(objects: MemoryStore):
    dropped = MemoryStore()
    pairing = gateway_on(objects, dropped, Readings())
    for study_id in ("S1", "S10"):
        dropped.objects[f"images/{study_id}/bad.png"] = flat_png(2)
        dropped.objects[f"images/{study_id}/bad.json"] = b"{}"
        dropped.objects[f"images/{study_id}/half.png"] = flat_png(1)
        await pairing.deliver(f"images/{study_id}/bad.png")
        await pairing.deliver(f"images/{study_id}/half.png")
    before = set(objects.objects)
    await deletion_on(objects).delete("S1", Reason.REQUEST)
    gone = before - set(objects.objects)
    assert sorted(key.split("/")[0] for key in gone) == ["pairing", "parked"]
    assert not [value for value in objects.objects.values() if b"images/S1/" in value]
    assert [value for value in objects.objects.values() if b"images/S10/" in value]


async def test_files_of_a_deleted_study_are_not_read_again(objects: MemoryStore):
    dropped, readings = MemoryStore(), Readings()
    pairing = gateway_on(objects, dropped, readings)
    dropped.objects |= {"images/S1/a.png": flat_png(1), "images/S1/a.json": sidecar("S1")}
    assert (await pairing.deliver("images/S1/a.png")).outcome == "processed"
    await deletion_on(objects).delete("S1", Reason.REQUEST)
    for _ in range(2):
        assert (await pairing.deliver("images/S1/a.png")).outcome == "ignored"
    assert readings.inferences.total() == 1
    left = [key for key in objects.objects if not key.startswith("deleted/")]
    assert left == []


async def test_study_is_closed_until_a_sweep_has_taken_what_was_left(objects: MemoryStore):
    deletion = deletion_on(objects)
    await deletion.delete("S1", Reason.REQUEST)
    with pytest.raises(StudyBeingDeletedError):
        await deletion.check_open("S1")
    await objects.create("results/S1/late", b"by one that was killed", media_type=TYPE)
    await deletion.sweep()
    with pytest.raises(StudyBeingDeletedError):
        await deletion.check_open("S1")
    await deletion_on(objects, closed_s=0.0).sweep()
    await deletion.check_open("S1")
    assert await deletion.was_deleted("S1")
    [key] = objects.objects
    record = json.loads(objects.objects[key])
    assert (record["reason"], record["older_versions_kept"]) == ("request", False)
    assert "S1" not in key


class Listed(MemoryStore):
    """Remembers what was listed."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[str] = []

    async def keys(self, prefix: str) -> Sequence[str]:
        self.listed.append(prefix)
        return await super().keys(prefix)


async def test_records_of_all_deletions_are_not_gone_through_at_every_sweep():
    objects = Listed()
    deletion = deletion_on(objects, closed_s=0.0)
    await deletion.delete("S1", Reason.REQUEST)
    await deletion.sweep()
    await deletion.check_open("S1")
    await deletion.delete("S2", Reason.REQUEST)
    await deletion.sweep()
    await deletion.check_open("S2")
    assert objects.listed.count("deleted/") == 1


async def test_who_saw_an_earlier_deletion_does_not_end_the_later_one(
    objects: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    now = 1000.0
    watch = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("gateway.results.deletion.time", watch)
    ours, other = deletion_on(objects, closed_s=40.0), deletion_on(objects, closed_s=40.0)
    await ours.delete("S1", Reason.REQUEST)
    now += 5
    await other.sweep()
    now += 36
    await ours.sweep()
    await ours.check_open("S1")
    await ours.delete("S1", Reason.REQUEST)  # it came again
    now += 5
    await other.sweep()
    with pytest.raises(StudyBeingDeletedError):
        await ours.check_open("S1")
    now += 40
    await other.sweep()
    await ours.check_open("S1")


class Silent(MemoryStore):
    """Does what it is told, and its answer to the first write is lost."""

    lost = False

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        created = await super().create(key, data, media_type=media_type)
        if not self.lost:
            self.lost = True
            raise StoreUnavailableError("no answer")
        return created


async def test_deletion_whose_note_was_written_unheard_is_ended_by_the_next_sweep():
    objects = Silent()
    deletion = deletion_on(objects, closed_s=0.0)
    await deletion.sweep()  # the next look at the records of all is an hour away
    objects.objects["results/S1/study.json"] = b"{}"
    with pytest.raises(StoreUnavailableError):
        await deletion.delete("S1", Reason.REQUEST)
    await deletion.sweep()
    await deletion.check_open("S1")
    assert not [key for key in objects.objects if key.startswith("results/")]


async def test_what_is_written_meanwhile_is_taken_back_by_its_writer(objects: MemoryStore):
    deletion = deletion_on(objects)
    await deletion.check_written("S1")
    await deletion.delete("S1", Reason.REQUEST)
    await objects.create("results/S1/late", b"", media_type=TYPE)
    with pytest.raises(StudyBeingDeletedError):
        await deletion.check_written("S1")
    assert not [key for key in objects.objects if key.startswith("results/")]


# --- versions ------------------------------------------------------------------------------------


@pytest.fixture
async def versioned(s3_url: str) -> AsyncIterator[tuple[Any, str]]:
    """A client, and a bucket that keeps every version, with a study and another."""
    settings = store_settings(s3_url)
    async with s3(s3_url) as client:
        await make_buckets(client, settings)
        bucket = str(settings.results_bucket)
        store = S3Store(client, bucket, timeout_s=20, encryption={})
        for key in ("results/S1/a", "results/S1/b", "results/S10/a"):
            await store.replace(key, b"first", media_type=TYPE)
            await store.replace(key, b"second", media_type=TYPE)
        await store.delete("results/S1/b")
        yield client, bucket


async def versions(client: Any, bucket: str) -> set[str]:
    page = await client.list_object_versions(Bucket=bucket)
    return {item["Key"] for item in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))}


async def test_older_versions_go_too(versioned: tuple[Any, str]):
    client, bucket = versioned
    assert await S3Store(client, bucket, timeout_s=20, encryption={}).purge("results/S1/")
    assert await versions(client, bucket) == {"results/S10/a"}


@pytest.mark.parametrize("denied", ["list_object_versions", "delete_objects"])
async def test_without_the_right_to_versions_they_stay_and_that_is_told(
    versioned: tuple[Any, str], denied: str
):
    """The emulator knows no policies; S3 answers so."""
    client, bucket = versioned

    class Denying:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

    error = {"Error": {"Code": "AccessDenied"}}

    async def refuse(**_: Any) -> Any:
        if denied == "delete_objects":
            return {"Errors": [{"Key": "results/S1/a", "Code": "AccessDenied"}]}
        raise ClientError(error, "ListObjectVersions")

    denying = Denying()
    setattr(denying, denied, refuse)
    store = S3Store(denying, bucket, timeout_s=20, encryption={})
    assert not await store.purge("results/S1/")
    assert await store.keys("") == ["results/S10/a"]
    assert "results/S1/a" in await versions(client, bucket)


# --- retention -----------------------------------------------------------------------------------


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
