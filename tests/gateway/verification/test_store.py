"""Verification of a store: each kind of fault is found, in a folder and in a bucket alike."""

from typing import Any

import pytest

from gateway.errors import StoreUnavailableError
from gateway.results.document_room import RecordRest
from gateway.results.keys import rest_key, withdrawal_id
from gateway.storage.documents import stored_form
from gateway.storage.layout import INDEX, STORE
from gateway.storage.protocol import ObjectStore
from gateway.verification.findings import Kind
from gateway.verification.store import Verification
from tests.gateway.verification.filled import (
    BROUGHT,
    DOCUMENT,
    ENTRY,
    FAILED,
    NOON,
    NOTICE,
    OBJECT,
    SHA256,
    fill,
    found,
    put,
    tombstone_key,
)
from tests.support.store import MemoryStore


async def test_a_whole_store_has_nothing_amiss_and_is_only_read(objects: ObjectStore):
    await fill(objects)
    before = [(key, await objects.read(key)) for key in await objects.keys("")]
    verification = Verification(objects)
    told: list[int] = []
    verification.on_studies = told.append
    assert await verification.count() == 1
    assert [finding async for finding in verification.findings()] == []
    assert (verification.studies, verification.checked) == (1, len(before))
    assert [(key, await objects.read(key)) for key in await objects.keys("")] == before


@pytest.mark.parametrize(
    "key",
    [
        DOCUMENT,
        *("WORK/job.json", ENTRY, NOTICE, f"results/S1/callbacks/{FAILED.id}/job.json"),
        *(BROUGHT, f"results/S1/deliveries/pacs/{FAILED.id}/job.json"),
        *("parked/" + "0" * 32 + ".json", f"pairing/bindings/{'a' * 64}.json"),
        "instances/1.2.3.4.json",
        *("pairing/waiting/a/b.json", "routing/document.json"),
        *(tombstone_key("gone"), "work/deletions/" + "a" * 32 + ".json"),
    ],
)
async def test_a_document_that_is_not_readable_is_told(key: str, folder_store: ObjectStore):
    work = await fill(folder_store)
    key = key.replace("WORK", work)
    await put(folder_store, key, b'{"name": "Doe^J')
    assert (Kind.UNREADABLE_DOCUMENT, key) in await found(folder_store)


@pytest.mark.parametrize("prefix", STORE)
async def test_every_place_of_the_store_is_looked_at(prefix: str):
    objects = MemoryStore()
    name = f"2026-01-31/new-{'0' * 16}.jsonl.gz" if prefix == INDEX else "0/0/work.json"
    objects.objects[f"{prefix}{name}"] = b"{"
    assert any(kind is not Kind.ORPHAN_OBJECT for kind, _ in await found(objects))


async def test_what_nothing_names_is_noted_and_no_fault(objects: ObjectStore):
    await fill(objects)
    begun = "results/S1/submissions/20260131T120000000009Z-00/image-1"
    lost = f"results/S3/images/{SHA256}/image-00c0ffee.png"
    for key in ("results/S1/a.txt", "elsewhere/b", "results/S1/images/x/image.png", lost, begun):
        await put(objects, key, b"x")
    findings = [finding async for finding in Verification(objects).findings()]
    assert {(each.kind, each.key) for each in findings} == {
        (Kind.ORPHAN_OBJECT, "results/S1/a.txt"),
        (Kind.ORPHAN_OBJECT, "results/S1/images/x/image.png"),
        (Kind.ORPHAN_OBJECT, "elsewhere/"),
        (Kind.ORPHAN_OBJECT, begun),
        (Kind.ORPHAN_OBJECT, lost),
    }
    assert not any(finding.is_fault for finding in findings)


async def test_the_rest_of_a_withdrawals_record_is_read_as_one():
    objects = MemoryStore()
    rest = rest_key(withdrawal_id("S1", NOON), "0123")
    await put(objects, rest, stored_form(RecordRest()))
    assert await found(objects) == set()
    await put(objects, rest, b'{"schema":"radstream.delivery/1"}')
    assert await found(objects) == {(Kind.UNREADABLE_DOCUMENT, rest)}


async def test_an_object_that_the_store_does_not_give_is_told():
    class BadSector(MemoryStore):
        async def read(self, key: str, **options: Any) -> bytes:
            if key == OBJECT:
                raise StoreUnavailableError("Input/output error")
            return await super().read(key, **options)

    objects = BadSector()
    await fill(objects)
    assert await found(objects) == {(Kind.UNREADABLE_OBJECT, OBJECT)}


async def test_memory_does_not_grow_with_the_store():
    objects = MemoryStore()
    for number in range(256):
        objects.objects[f"results/S{number}/note.txt"] = b""
        objects.objects[f"pairing/bindings/{number:02x}.json"] = b""
    await found(objects)
    at_once = max(
        sum(key.startswith(prefix) for key in objects.objects)
        for call, prefix in objects.calls
        if call == "keys"
    )
    assert at_once == 16  # the bindings of one digit
