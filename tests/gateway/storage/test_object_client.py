"""Documents and writes of a bucket: answers that are lost, conditions, credentials, addresses."""

import datetime as dt
import json
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from gateway.errors import (
    InvalidKeyError,
    ObjectTooLargeError,
    StoreUnavailableError,
)
from gateway.storage import object_client
from gateway.storage.object_client import encryption
from gateway.storage.protocol import Tagged
from gateway.storage.s3 import S3Store, s3_client
from tests.support.s3 import (
    Faults,
    lost_answers,
    new_store,
    s3,
)
from tests.support.tls import tls_front

TYPE = "application/octet-stream"


async def test_write_against_another_that_is_under_way_is_tried_again(
    faulty: S3Store, proxy: Faults
):
    conflict = {"error": {"code": "ConditionalRequestConflict", "status": 409}, "times": 3}
    await proxy.set({"service": "s3", "operation": "PutObject"} | conflict)
    assert await faulty.create("b", b"data", media_type=TYPE)
    assert await faulty.read("b") == b"data"


async def test_create_whose_answer_was_lost_is_told_as_written(s3_url: str):
    async with lost_answers(s3_url) as relay, new_store(relay.url) as store:
        relay.to_lose = 2
        assert await store.create("a", b"ours", media_type=TYPE)
        assert relay.to_lose == 0
        assert not await store.create("a", b"ours", media_type=TYPE)
        relay.to_lose = 1
        assert not await store.create("a", b"theirs", media_type=TYPE)


async def test_tagged_read_and_deletion_whose_answers_were_lost_are_repeated(s3_url: str):
    async with lost_answers(s3_url) as relay, new_store(relay.url) as store:
        tag = await store.swap("a", b"data", tag=None, media_type=TYPE)
        relay.to_lose = 2
        assert await store.read_tagged("a") == Tagged(b"data", tag)
        relay.to_lose = 2
        await store.delete("a")
        assert relay.to_lose == 0
        assert await store.keys("") == []


async def test_answers_that_are_always_lost_are_a_store_that_does_not_answer(s3_url: str):
    async with lost_answers(s3_url) as relay, new_store(relay.url) as store:
        for call in (
            store.read_tagged("a"),
            store.create("a", b"data", media_type=TYPE),
            store.replace("a", b"data", media_type=TYPE),
            store.swap("a", b"data", tag=None, media_type=TYPE),
            store.delete("a"),
        ):
            relay.to_lose = 4
            with pytest.raises(StoreUnavailableError, match="HTTP"):
                await call
            assert relay.to_lose == 0


async def test_swap_whose_answer_was_lost_is_told_as_written(s3_url: str):
    async with lost_answers(s3_url) as relay, new_store(relay.url) as store:
        await store.replace("a", b"data", media_type=TYPE)
        read = await store.read_tagged("a")
        relay.to_lose = 2
        written = await store.swap("a", b"ours", tag=read.tag, media_type=TYPE)
        assert relay.to_lose == 0
        assert await store.read_tagged("a") == Tagged(b"ours", written)


async def test_swap_against_another_write_that_is_under_way_is_tried_again(
    faulty: S3Store, proxy: Faults
):
    tag = await faulty.swap("b", b"theirs", tag=None, media_type=TYPE)
    conflict = {"error": {"code": "ConditionalRequestConflict", "status": 409}, "times": 3}
    await proxy.set({"service": "s3", "operation": "PutObject"} | conflict)
    assert await faulty.swap("b", b"ours", tag=tag, media_type=TYPE)
    assert await faulty.read("b") == b"ours"


async def test_swap_that_cannot_be_looked_after_is_not_told_as_lost(faulty: S3Store, proxy: Faults):
    away = {"error": {"code": "InternalError", "status": 500}}
    await proxy.set({"service": "s3", "operation": "GetObject"} | away)
    with pytest.raises(StoreUnavailableError, match="InternalError"):
        await faulty.swap("a", b"ours", tag='"another"', media_type=TYPE)


async def test_tag_tells_what_is_encrypted_apart_too(s3_url: str):
    async with new_store(s3_url, encryption=encryption("aws:kms", "alias/radstream")) as store:
        tag = await store.swap("a", b"first", tag=None, media_type=TYPE)
        assert await store.swap("a", b"second", tag=tag, media_type=TYPE)
        assert await store.swap("a", b"third", tag=tag, media_type=TYPE) is None
        assert await store.read("a") == b"second"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"error": {"code": "InternalError", "status": 500}}, "InternalError"),
        ({"error": {"code": "AccessDenied", "status": 403}}, "AccessDenied"),
        ({"latency": 60_000}, "no answer within 10 s"),
    ],
    ids=["500", "403", "silence"],
)
async def test_write_that_goes_on_failing_is_a_store_that_does_not_answer(
    faulty: S3Store, proxy: Faults, fault: object, reason: str
):
    await proxy.set({"service": "s3", "operation": "PutObject"} | fault)
    with pytest.raises(StoreUnavailableError) as caught:
        await faulty.swap("b", b"data", tag=None, media_type=TYPE)
    assert caught.value.reason == reason


async def test_document_that_comes_in_chunks_is_read(faulty: S3Store):
    """The proxy sends on without a length."""
    tag = await faulty.swap("b", b"data", tag=None, media_type=TYPE)
    assert await faulty.read_tagged("b") == Tagged(b"data", tag)
    assert await faulty.read_changed("b", tag=None) == Tagged(b"data", tag)
    assert await faulty.read_changed("b", tag=tag) is None
    with pytest.raises(ObjectTooLargeError):
        await faulty.read_tagged("b", limit_bytes=3)
    assert await faulty.swap("b", b"data", tag='"another"', media_type=TYPE) == tag


async def test_no_control_character_is_in_the_key_of_what_is_written(s3_url: str):
    async with new_store(s3_url) as store:
        await store._client.put_object(Bucket=store._bucket, Key="line\nbreak", Body=b"theirs")
        assert await store.keys("") == ["line\nbreak"]
        assert await store.read("line\nbreak") == b"theirs"
        for call in (
            store.create("line\nbreak", b"ours", media_type=TYPE),
            store.replace("line\nbreak", b"ours", media_type=TYPE),
            store.swap("line\nbreak", b"ours", tag=None, media_type=TYPE),
            store.delete("line\nbreak"),
            store.read_tagged("line\nbreak"),
        ):
            with pytest.raises(InvalidKeyError):
                await call
        assert await store.purge("line")


class _Older(BaseHTTPRequestHandler):
    """A store that knows none of AWS's check sums of 2024, as some kinds of Ceph and MinIO."""

    protocol_version = "HTTP/1.1"  # which lets a client wait for leave to send
    objects: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        named = {name.lower() for name in self.headers}
        if named & {"x-amz-sdk-checksum-algorithm", "x-amz-checksum-sha256", "x-amz-trailer"}:
            self._answer(501, b"<Error><Code>NotImplemented</Code></Error>")
        else:
            self.objects[self.path] = body
            self._answer(200, b"")

    def do_GET(self) -> None:
        asked = self.headers.get("x-amz-checksum-mode")
        self._answer(501 if asked else 200, b"" if asked else self.objects[self.path])

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{zlib.crc32(body)}"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def older() -> Iterator[str]:
    with served(_Older) as url:
        yield url


async def test_a_store_without_check_sums_is_used_as_awss_own_variables_say(
    older: str, s3_url: str, monkeypatch: pytest.MonkeyPatch
):
    del s3_url  # whose fixture sets the credentials
    async with s3(older) as client:
        store = S3Store(client, "bucket", timeout_s=10, encryption={})
        with pytest.raises(StoreUnavailableError, match="NotImplemented"):
            await store.replace("a", b"data", media_type=TYPE)
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    monkeypatch.setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
    async with s3(older) as client:
        store = S3Store(client, "bucket", timeout_s=10, encryption={})
        await store.replace("a", b"data", media_type=TYPE)
        assert await store.read("a") == b"data"


class _Conditional(_Older):
    """A store that keeps to If-None-Match, with status and length of its answers."""

    answered: ClassVar[list[tuple[int, int]]] = []

    def do_GET(self) -> None:
        body = self.objects[self.path]
        is_known = self.headers.get("If-None-Match") == f'"{zlib.crc32(body)}"'
        self._answer(304 if is_known else 200, b"" if is_known else body)

    def _answer(self, status: int, body: bytes) -> None:
        self.answered.append((status, len(body)))
        super()._answer(status, body)


async def test_what_is_unchanged_is_answered_without_a_body(s3_url: str):
    del s3_url  # whose fixture sets the credentials
    _Conditional.objects["/bucket/a"] = b"data"
    with served(_Conditional) as url:
        async with s3(url) as client:
            store = S3Store(client, "bucket", timeout_s=10, encryption={})
            first = await store.read_changed("a", tag=None)
            assert first is not None
            assert await store.read_changed("a", tag=first.tag) is None
            _Conditional.objects["/bucket/a"] = b"longer"
            second = await store.read_changed("a", tag=first.tag)
    assert second is not None
    assert (first.data, second.data) == (b"data", b"longer")
    assert _Conditional.answered == [(200, 4), (304, 0), (200, 6)]


@pytest.mark.usefixtures("s3_url")
async def test_awss_own_s3_is_always_asked_with_check_sums(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
    async with s3_client(region=None, endpoint=None, connections=1, timeout_s=1) as client:
        assert client.meta.config.request_checksum_calculation == "when_supported"
        store = S3Store(client, "bucket", timeout_s=1, encryption={})
        assert store._objects._bucket.config["checksum_algorithm"] == "SHA256"


@pytest.mark.parametrize(
    ("region", "bucket", "url"),
    [
        ("eu-central-1", "results", "https://results.s3.eu-central-1.amazonaws.com"),
        ("cn-north-1", "results", "https://results.s3.cn-north-1.amazonaws.com.cn"),
        # No certificate covers it below the host's own name.
        ("eu-central-1", "with.dots", "https://s3.eu-central-1.amazonaws.com"),
    ],
)
@pytest.mark.usefixtures("s3_url")
async def test_aws_is_asked_at_the_buckets_own_host(region: str, bucket: str, url: str):
    async with s3_client(region=region, endpoint=None, connections=1, timeout_s=1) as client:
        config = S3Store(client, bucket, timeout_s=1, encryption={})._objects._bucket.config
    assert config["endpoint_url_s3"] == url
    assert config["virtual_hosted_style_request"] == str(bucket != "with.dots").lower()
    assert config["region"] == region


async def test_authority_of_awss_own_variable_is_trusted(
    s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with tls_front(tmp_path) as front:
        front.port = int(s3_url.rpartition(":")[2])
        async with s3(front.url) as client:
            store = S3Store(client, "bucket", timeout_s=10, encryption={})
            with pytest.raises(StoreUnavailableError, match="HTTPConnectError"):
                await store.replace("a", b"data", media_type=TYPE)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(front.ca_file))
        async with new_store(front.url) as store:
            tag = await store.swap("a", b"data", tag=None, media_type=TYPE)
            assert await store.read_tagged("a") == Tagged(b"data", tag)
            assert await store.keys("") == ["a"]
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "nowhere"))
        with pytest.raises(StoreUnavailableError, match="AWS_CA_BUNDLE"):
            S3Store(client, "bucket", timeout_s=10, encryption={})


class _Pod(BaseHTTPRequestHandler):
    """The agent that gives a pod its role's credentials, and a bucket that notes who writes."""

    given = 0
    writers: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        _Pod.given += 1
        assert self.headers["Authorization"] == "the pod's own"
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)  # so they are refreshed at once
        credentials = {
            "AccessKeyId": f"KEY{self.given}",
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": soon.isoformat(),
        }
        self._answer(json.dumps(credentials).encode())

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["x-amz-security-token"] == "token"
        self.writers.append(self.headers["Authorization"].split("Credential=")[1].split("/")[0])
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


async def test_credentials_of_a_pod_sign_writes_and_are_renewed(
    s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    del s3_url  # whose fixture sets the credentials
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(object_client, "_CREDENTIALS_S", 0.0)  # ask before each write
    (tmp_path / "token").write_text("the pod's own")
    with served(_Pod) as url:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/v1/credentials")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        async with s3(url) as client:
            store = S3Store(client, "bucket", timeout_s=10, encryption={})
            for _ in range(2):
                await store.replace("a", b"data", media_type=TYPE)
    first, second = _Pod.writers
    assert first.startswith("KEY")
    assert first != second
