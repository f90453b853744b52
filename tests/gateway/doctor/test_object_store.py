"""Stores: buckets that are missing, denied or not what they seem."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.doctor.findings import Check, Finding, Outcome, Side
from gateway.doctor.object_store import store_findings
from gateway.settings import StoreSettings
from tests.support.s3 import Faults, aws_environment, faults, make_buckets, s3, store_settings


@pytest.fixture(scope="module")
async def proxy(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Faults]:
    async with faults(s3_url, tmp_path_factory.mktemp("faults")) as proxy:
        yield proxy


async def found(settings: StoreSettings) -> list[Finding]:
    return [each async for each in store_findings(settings)]


async def test_buckets_that_allow_all_are_left_as_they_were(s3_url: str):
    settings = store_settings(s3_url)
    async with s3(s3_url) as client:
        await make_buckets(client, settings)
        results, images, events = await found(settings)
        left = await client.list_objects_v2(Bucket=settings.results_bucket)
    assert left["KeyCount"] == 0
    assert results.detail == "allows list, create, read, conditional writes, delete"
    assert images.detail == "allows list, read"
    assert (events.outcome, events.side) == (Outcome.WARNING, Side.PEER)
    assert "no dropped file is ever noticed" in events.detail


async def test_events_are_those_that_the_bucket_sends_and_may_be_asked_for(proxy: Faults):
    settings = store_settings(proxy.url)
    await proxy.set()
    async with s3(proxy.url) as client:
        await make_buckets(client, settings)
        bucket = settings.images_bucket
        await client.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        [*_, events] = await found(settings)
        assert (events.check, events.outcome) == (Check.BUCKET_EVENTS, Outcome.OK)
        error = {"code": "AccessDenied", "status": 403}
        # Two names of AWS for one request.
        names = ("GetBucketNotificationConfiguration", "GetBucketNotification")
        await proxy.set(*({"service": "s3", "operation": name, "error": error} for name in names))
        [*_, events] = await found(settings)
        await proxy.set()
    assert (events.outcome, events.side) == (Outcome.SKIPPED, None)
    assert "s3:GetBucketNotification" in events.detail


async def test_a_bucket_that_is_not_there_is_named_by_its_setting(s3_url: str):
    settings = store_settings(s3_url)
    results, images, events = await found(settings)
    assert events.outcome is Outcome.SKIPPED
    assert (results.side, images.side) == (Side.GATEWAY, Side.GATEWAY)
    assert results.detail == "there is no such bucket"
    assert "RADSTREAM_STORE__RESULTS_BUCKET" in (results.change or "")
    assert "RADSTREAM_STORE__IMAGES_BUCKET" in (images.change or "")


@pytest.mark.parametrize(
    ("operation", "code", "detail", "side", "change"),
    [
        ("PutObject", "AccessDenied", "s3:PutObject is denied", Side.PEER, "allow s3:PutObject on"),
        (
            *("DeleteObject", "AccessDenied", "s3:DeleteObject is denied", Side.PEER),
            "allow s3:DeleteObject on",
        ),
        (
            *("ListObjectsV2", "InvalidAccessKeyId", "the credentials are not taken"),
            *(Side.GATEWAY, "AWS_ACCESS_KEY_ID"),
        ),
        (
            *("ListObjectsV2", "RequestTimeTooSkewed", "S3 refuses this machine's time"),
            *(Side.GATEWAY, "the clock"),
        ),
    ],
)
async def test_each_request_that_is_denied_is_named(
    proxy: Faults, *, operation: str, code: str, detail: str, side: Side, change: str
):
    settings = store_settings(proxy.url)
    await proxy.set()
    async with s3(proxy.url) as client:
        await make_buckets(client, settings)
        error = {"code": code, "status": 403}
        await proxy.set({"service": "s3", "operation": operation, "error": error})
        results, *_ = await found(settings)
        await proxy.set()
    assert (results.outcome, results.detail, results.side) == (Outcome.FAULT, detail, side)
    assert change in (results.change or "")


async def test_an_endpoint_where_nothing_listens():
    settings = store_settings("http://127.0.0.1:9", timeout_s=3)
    with aws_environment():
        [results, *_] = await found(settings)
    assert results.side is Side.EITHER
    assert "RADSTREAM_STORE__ENDPOINT" in (results.change or "")


async def test_a_folder_is_written_to_and_left_as_it_was(tmp_path: Path):
    there, missing = tmp_path / "store", tmp_path / "missing"
    there.mkdir()
    [finding] = await found(StoreSettings(folder=there))
    assert finding.outcome is Outcome.OK
    assert [path for path in there.rglob("doctor*") if path.is_file()] == []
    [finding] = await found(StoreSettings(folder=missing))
    assert "is not there yet" in finding.detail
    assert not missing.exists()


async def test_a_store_that_overwrites_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def create(*_: Any, **__: Any) -> bool:
        return True  # as an S3 says that passes over If-None-Match

    monkeypatch.setattr("gateway.storage.folder.FolderStore.create", create)
    monkeypatch.setattr("gateway.storage.folder.FolderStore.read", _probe)
    [finding] = await found(StoreSettings(folder=tmp_path))
    assert "If-None-Match" in finding.detail


async def _probe(*_: Any, **__: Any) -> bytes:
    return b"radstream doctor"
