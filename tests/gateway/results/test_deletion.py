"""What a deletion takes, what it leaves, and what it does to a study under way."""

import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gateway.errors import StudyBeingDeletedError
from gateway.results.documents import StudyRecord
from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstone import Reason
from gateway.storage.s3 import S3Store
from tests.support.deletion import deletion_on
from tests.support.models import flat_png
from tests.support.pairing import Readings, gateway_on, sidecar
from tests.support.s3 import make_buckets, s3, store_settings
from tests.support.store import DiedError, MemoryStore, MortalStore

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
    assert sorted(key.split("/")[0] for key in gone) == ["pairing", "pairing", "parked"]
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
    assert kept(objects) == ["deleted", "results", "work"]


async def study_on(objects: MemoryStore, study_id: str = "S1") -> StudyDocuments:
    """One gateway's documents, with a study in the store."""
    documents = StudyDocuments(objects)
    await documents.change(study_id, begun(study_id))
    return documents


def begun(study_id: str) -> Callable[[StudyRecord | None], StudyRecord]:
    now = dt.datetime.now(dt.UTC)
    return lambda record: record or StudyRecord(study_id=study_id, changed_at=now)


def kept(objects: MemoryStore) -> list[str]:
    return sorted(key.split("/")[0] for key in objects.objects)


async def test_study_is_closed_until_a_sweep_has_taken_what_was_left(objects: MemoryStore):
    documents = await study_on(objects)
    deletion = deletion_on(objects)
    await deletion.delete("S1", Reason.REQUEST)
    with pytest.raises(StudyBeingDeletedError):
        await documents.change("S1", begun("S1"))
    await objects.create("results/S1/images/late", b"by one that was killed", media_type=TYPE)
    await deletion.sweep()
    assert kept(objects) == ["deleted", "results", "work"]
    with pytest.raises(StudyBeingDeletedError):
        await documents.change("S1", begun("S1"))
    await deletion_on(objects, closed_s=0.0).sweep()
    assert await deletion.was_deleted("S1")
    [key] = objects.objects
    record = json.loads(objects.objects[key])
    assert (record["reason"], record["older_versions_kept"]) == ("request", False)
    assert "S1" not in key
    await documents.change("S1", begun("S1"))


async def test_what_was_begun_before_a_deletion_does_not_join_after_it(objects: MemoryStore):
    documents = await study_on(objects)
    remembered = documents.remembered("S1")
    await deletion_on(objects).delete("S1", Reason.REQUEST)  # by another gateway
    for gateway in (documents, StudyDocuments(objects)):
        with pytest.raises(StudyBeingDeletedError):
            await gateway.change("S1", begun("S1"), remembered)


async def test_closing_tells_nothing_of_the_patient(objects: MemoryStore):
    documents = await study_on(objects)
    identity = {"patient_id": "P1"}
    await documents.change(
        "S1", lambda record: begun("S1")(record).model_copy(update={"identity": identity})
    )
    assert b"P1" in objects.objects["results/S1/result.json"]
    await deletion_on(objects).delete("S1", Reason.REQUEST)
    assert not [key for key, data in objects.objects.items() if b"P1" in data]


async def test_who_saw_an_earlier_deletion_does_not_end_the_later_one(
    objects: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    now = 1000.0
    watch = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("gateway.results.deletion.time", watch)
    ours, other = deletion_on(objects, closed_s=40.0), deletion_on(objects, closed_s=40.0)
    documents = await study_on(objects)
    await ours.delete("S1", Reason.REQUEST)
    now += 5
    await other.sweep()
    now += 36
    await ours.sweep()
    await documents.change("S1", begun("S1"))  # it came again
    await ours.delete("S1", Reason.REQUEST)
    now += 5
    await other.sweep()
    with pytest.raises(StudyBeingDeletedError):
        await documents.change("S1", begun("S1"))
    now += 40
    await other.sweep()
    await documents.change("S1", begun("S1"))


async def test_deletion_whose_gateway_died_is_carried_out_by_the_next_sweep():
    for dies_at in range(2, 10):
        objects = MemoryStore()
        await study_on(objects)
        await objects.create("results/S1/images/a", b"", media_type=TYPE)
        dying = MortalStore(objects.objects, dies_at)
        with suppress(DiedError):
            await deletion_on(dying).delete("S1", Reason.REQUEST)
        seen = await StudyDocuments(objects).read("S1")
        deletion = deletion_on(objects, closed_s=0.0)
        await deletion.sweep()
        if seen.closing is None:  # nobody was told that it is deleted
            assert kept(objects) == ["results", "results"], dies_at
        else:
            assert kept(objects) == ["deleted"], dies_at


async def test_study_whose_document_is_damaged_can_be_deleted(objects: MemoryStore):
    await study_on(objects)
    objects.objects["results/S1/result.json"] = b"{"
    deletion = deletion_on(objects, closed_s=0.0)
    assert await deletion.exists("S1")
    await deletion.delete("S1", Reason.REQUEST)
    await deletion.sweep()
    assert kept(objects) == ["deleted"]


async def test_deletion_whose_note_is_lost_is_ended_by_another_one(objects: MemoryStore):
    await study_on(objects)
    deletion = deletion_on(objects, closed_s=0.0)
    await deletion.delete("S1", Reason.REQUEST)
    assert not await deletion.exists("S1")
    await objects.purge("work/deletions/")
    await deletion.sweep()
    assert "results/S1/result.json" in objects.objects
    assert await deletion.exists("S1")
    await deletion.delete("S1", Reason.REQUEST)
    await deletion.sweep()
    assert "results/S1/result.json" not in objects.objects


async def test_end_of_a_deletion_leaves_the_study_that_came_again(objects: MemoryStore):
    documents = await study_on(objects)
    deletion = deletion_on(objects, closed_s=0.0)
    await deletion.delete("S1", Reason.REQUEST)
    seen = await StudyDocuments(objects).read("S1")
    assert seen.closing is not None
    await deletion.sweep()
    await documents.change("S1", begun("S1"))
    await StudyDocuments(objects).end(seen.closing)  # by a slower gateway
    assert "results/S1/result.json" in objects.objects


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


async def test_older_versions_of_the_current_object_go_alone(versioned: tuple[Any, str]):
    client, bucket = versioned
    store = S3Store(client, bucket, timeout_s=20, encryption={})
    assert await store.purge("results/S10/a", past_only=True)
    assert await store.read("results/S10/a") == b"second"
    page = await client.list_object_versions(Bucket=bucket, Prefix="results/S10/a")
    assert len(page["Versions"]) == 1


async def test_nothing_of_a_deleted_study_stays_as_an_older_version(s3_url: str):
    settings = store_settings(s3_url)
    async with s3(s3_url) as client:
        await make_buckets(client, settings)
        bucket = str(settings.results_bucket)
        store = S3Store(client, bucket, timeout_s=20, encryption={})
        documents = StudyDocuments(store)
        for _ in range(2):
            await documents.change("S1", begun("S1"))
        deletion = deletion_on(store, closed_s=0.0)
        await deletion.delete("S1", Reason.REQUEST)
        await deletion.sweep()
        left = await versions(client, bucket)
        assert {key.split("/")[0] for key in left} == {"deleted"}
