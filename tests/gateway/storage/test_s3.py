"""What S3 has and a folder has not: versions, encryption, faults on the wire."""

import traceback

import pytest

from gateway.errors import (
    ObjectNotFoundError,
    StoreError,
    StoreUnavailableError,
)
from gateway.storage.object_client import encryption
from gateway.storage.s3 import S3Store, s3_client
from tests.support.s3 import (
    Faults,
    make_buckets,
    s3,
    store_settings,
)

TYPE = "application/octet-stream"


async def test_version_that_was_written_over_can_still_be_read(s3_url: str):
    settings = store_settings(s3_url)
    async with s3(s3_url) as client:
        await make_buckets(client, settings)
        bucket = settings.images_bucket
        first = await client.put_object(Bucket=bucket, Key="a", Body=b"first")
        second = await client.put_object(Bucket=bucket, Key="a", Body=b"second")
        assert bucket is not None
        store = S3Store(client, bucket, timeout_s=20, encryption={})
        assert await store.read("a", version_id=first["VersionId"]) == b"first"
        assert await store.read("a", version_id=second["VersionId"]) == b"second"
        assert await store.read("a") == b"second"
        await client.delete_object(Bucket=bucket, Key="a")
        for version_id in (None, "0" * 32):
            with pytest.raises(ObjectNotFoundError):
                await store.read("a", version_id=version_id)


@pytest.mark.parametrize(("sse", "key"), [("AES256", None), ("aws:kms", "alias/radstream")])
async def test_objects_are_encrypted_as_the_settings_say(s3_url: str, sse: str, key: str | None):
    settings = store_settings(s3_url)
    async with s3(s3_url) as client:
        await make_buckets(client, settings)
        assert settings.results_bucket is not None
        bucket = settings.results_bucket
        store = S3Store(client, bucket, timeout_s=20, encryption=encryption(sse, key))
        await store.create("created", b"data", media_type="image/png")
        await store.replace("replaced", b"data", media_type="image/png")
        for name in ("created", "replaced"):
            head = await client.head_object(Bucket=bucket, Key=name)
            assert head["ServerSideEncryption"] == sse
            assert head["ContentType"] == "image/png"
            if key is not None:
                assert key in head["SSEKMSKeyId"]


async def test_bucket_default_holds_where_nothing_is_said():
    assert encryption(None, None) == {}


async def test_bucket_that_is_not_there_cannot_be_opened(s3_url: str):
    async with s3(s3_url) as client:
        store = S3Store(client, "no-such-bucket", timeout_s=20, encryption={})
        with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
            await store.open("images/")
        with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
            await store.create("a", b"data", media_type=TYPE)


async def test_server_that_is_not_there_is_unavailable():
    async with s3_client(
        region="eu-central-1", endpoint="http://127.0.0.1:9", connections=1, timeout_s=5
    ) as client:
        store = S3Store(client, "bucket", timeout_s=5, encryption={})
        with pytest.raises(StoreUnavailableError):
            await store.read("a")


async def test_credentials_that_are_not_there_are_told_by_their_name(
    s3_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    async with s3(s3_url) as client:
        store = S3Store(client, "bucket", timeout_s=5, encryption={})
        with pytest.raises(StoreUnavailableError, match="NoCredentialsError"):
            await store.read("a")


@pytest.mark.parametrize(
    "fault",
    [
        {"error": {"code": "InternalError", "status": 500}},
        {"error": {"code": "SlowDown", "status": 503}},
        {"reset": True},
    ],
    ids=["500", "slow down", "reset"],
)
async def test_call_that_fails_twice_is_repeated(faulty: S3Store, proxy: Faults, fault: object):
    await proxy.set({"service": "s3", "times": 2} | fault)
    assert await faulty.read("a") == b"data"
    await proxy.set({"service": "s3", "times": 2} | fault)
    assert await faulty.create("b", b"data", media_type=TYPE)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"error": {"code": "InternalError", "status": 500}}, "InternalError"),
        ({"error": {"code": "AccessDenied", "status": 403}}, "AccessDenied"),
        ({"latency": 60_000}, "no answer within 10 s"),
        ({"response": {"truncate_frac": 0.5}}, ""),
        ({"response": {"abort_frac": 0.5}}, ""),
        ({"response": {"corrupt_bytes": 1}}, ""),
    ],
    ids=["500", "403", "silence", "short", "cut", "corrupt"],
)
async def test_call_that_goes_on_failing_is_a_store_that_does_not_answer(
    faulty: S3Store, proxy: Faults, fault: object, reason: str
):
    await proxy.set({"service": "s3", "operation": "GetObject"} | fault)
    with pytest.raises(StoreUnavailableError) as caught:
        await faulty.read("a")
    assert reason in caught.value.reason


async def test_error_says_nothing_of_the_key(faulty: S3Store, proxy: Faults):
    await proxy.set({"service": "s3", "error": {"code": "InternalError", "status": 500}})
    for call in (
        faulty.read("images/DOE^JANE.jpg"),
        faulty.read_tagged("images/DOE^JANE.jpg"),
        faulty.create("images/DOE^JANE.jpg", b"data", media_type=TYPE),
    ):
        with pytest.raises(StoreError) as caught:
            await call
        shown = "".join(traceback.format_exception(caught.value, chain=True))
        assert "DOE" not in shown.replace('"images/DOE^JANE.jpg"', "")


@pytest.mark.parametrize("code", ["images/DOE^JANE.jpg", "a\nb", "x" * 65])
async def test_what_is_no_code_of_s3_is_not_repeated(faulty: S3Store, proxy: Faults, code: str):
    await proxy.set({"service": "s3", "error": {"code": code, "status": 400}})
    with pytest.raises(StoreUnavailableError) as caught:
        await faulty.read("a")
    assert caught.value.reason == "unknown"
