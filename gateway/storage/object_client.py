"""Documents and writes of one S3 bucket, by obstore, at a fraction of aiobotocore's CPU.

What obstore lacks stays with aiobotocore, in `s3.py`: check sums of what is read, objects that come
in chunks or whose headers hold more than ASCII, versions, and lists: obstore takes the last slash
from a key that ends in one, stops at a key with two in a row, and begins no page of folders.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import obstore
from aiobotocore.session import get_session
from botocore.exceptions import NoCredentialsError
from obstore.exceptions import BaseError
from obstore.store import S3Store as Bucket

from gateway import __version__
from gateway.errors import (
    InvalidKeyError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreUnavailableError,
)
from gateway.storage.protocol import Tagged

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from obstore import GetOptions, PutMode
    from obstore.store import ClientConfig, S3Config, S3Credential

T = TypeVar("T")

_ATTEMPTS: Final = 4
_IDLE_S: Final = 12.0  # S3 itself closes a connection that is idle for longer
_CREDENTIALS_S: Final = 60.0

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# What obstore's text tells of an error, whose classes tell less: the status and S3's own code of an
# answer; why there are no credentials; what became of a request that was not answered.
_ANSWER = re.compile(
    r"non-2xx status code: (\d{3})(?:.*?<Code>([A-Za-z0-9._-]{1,64})</Code>)?", re.DOTALL
)
_CREDENTIALS = re.compile(r"External AWS credential provider.*?<class '[\w.]*?(\w+)'>", re.DOTALL)
_UNANSWERED = re.compile(r"HttpError \{\s*kind: (\w+)")
_MOVED = "redirect without LOCATION"
_IN_CHUNKS = "MissingContentLength"

_NOT_FOUND, _CONFLICT, _SERVER_ERROR = 404, 409, 500
_UNMET = {304, 412}  # the former from other kinds of S3
_PASSING = {408, 429}
_PASSING_CODES = {"RequestTimeout"}  # of status 400

_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")


def encryption(sse: str | None, kms_key_id: str | None) -> S3Config:
    """Return the settings of encryption at rest; without any the bucket's default holds."""
    settings: S3Config = {}
    if sse is not None:
        settings["server_side_encryption"] = sse
    if kms_key_id is not None:
        settings["sse_kms_key_id"] = kms_key_id
    return settings


@dataclass(frozen=True, slots=True)
class Written:
    """Outcome of a conditional write.

    Parameters
    ----------
    tag
        Tag of the written object; None where the condition does not hold.
    repeated
        True if the request was sent more than once: it may have met its own object.
    """

    tag: str | None
    repeated: bool


class ObjectClient:
    """Objects of one bucket; a request that fails in a way that may pass is repeated.

    Parameters
    ----------
    client
        Client of aiobotocore, whose endpoint, region, connections and check sums hold here too.
    bucket
        Name of the bucket.
    timeout_s
        Seconds that a request may take, without its repetitions.
    encryption
        See `encryption`.
    """

    def __init__(self, client: Any, bucket: str, *, timeout_s: float, encryption: S3Config) -> None:
        self._bucket = Bucket(
            bucket,
            config={**_config(client.meta, bucket), **encryption},
            client_options=_client_options(timeout_s),
            # Repeated here, where the deadline is known: obstore leaves resets of writes alone.
            retry_config={"max_retries": 0, "retry_timeout": dt.timedelta(seconds=timeout_s)},
            credential_provider=Credentials(),
        )
        self._connections = asyncio.Semaphore(client.meta.config.max_pool_connections)

    async def get(self, key: str, limit_bytes: int | None) -> Tagged:
        """Return the object and its ETag.

        Raises
        ------
        ObjectNotFoundError
        ObjectTooLargeError
        InChunksError
            A proxy before the bucket sends objects without their length.
        StoreUnavailableError
        """
        return await self._get(key, limit_bytes, {})

    async def get_changed(
        self, key: str, limit_bytes: int | None, tag: str | None
    ) -> Tagged | None:
        """Return the object and its ETag, unless that is the tag; raise as `get` does."""
        try:
            return await self._get(key, limit_bytes, {} if tag is None else {"if_none_match": tag})
        except _ConditionError:
            return None

    async def _get(self, key: str, limit_bytes: int | None, options: GetOptions) -> Tagged:
        _check(key)

        async def request() -> Tagged:
            result = await obstore.get_async(self._bucket, key, options=options)
            if limit_bytes is not None and result.meta["size"] > limit_bytes:
                raise ObjectTooLargeError(limit_bytes)
            meta = result.meta
            data = bytes(await result.bytes_async())
            return Tagged(data, meta["e_tag"] or "", meta["last_modified"], meta["version"])

        return await self._repeated(request)

    async def put(self, key: str, data: bytes | memoryview, media_type: str) -> None:
        """Write the object, over whatever the key held.

        Raises
        ------
        InvalidKeyError
        StoreUnavailableError
        """
        await self._put(key, data, media_type, "overwrite")

    async def put_if(
        self, key: str, data: bytes | memoryview, media_type: str, tag: str | None
    ) -> Written:
        """Write the object where it has this ETag, with None where there is none.

        Raises
        ------
        InvalidKeyError
        StoreUnavailableError
        """
        mode: PutMode = "create" if tag is None else {"e_tag": tag}
        return await self._put(key, data, media_type, mode)

    async def _put(
        self, key: str, data: bytes | memoryview, media_type: str, mode: PutMode
    ) -> Written:
        _check(key)
        attempts = 0

        async def request() -> str | None:
            nonlocal attempts
            attempts += 1
            result = await obstore.put_async(
                self._bucket,
                key,
                data,
                attributes={"Content-Type": media_type},
                mode=mode,
                use_multipart=False,
            )
            return result["e_tag"]

        try:
            return Written(await self._repeated(request), attempts > 1)
        except _ConditionError:
            return Written(None, attempts > 1)
        except ObjectNotFoundError:
            if mode == "overwrite":
                raise
            return Written(None, attempts > 1)

    async def delete(self, key: str) -> None:
        """Remove the object, if there is one.

        Raises
        ------
        InvalidKeyError
        StoreUnavailableError
        """
        _check(key)
        await self._repeated(lambda: obstore.delete_async(self._bucket, key))

    async def _repeated(self, request: Callable[[], Awaitable[T]]) -> T:
        attempt = 1
        while True:
            try:
                async with self._connections:
                    return await request()
            except (BaseError, FileNotFoundError) as error:
                fault = _fault(str(error))
            # Another write of the key is under way: who wins shows when it is done.
            if fault.status != _CONFLICT:
                if not fault.may_pass or attempt == _ATTEMPTS:
                    raise fault.error()
                attempt += 1
            await asyncio.sleep(random.uniform(0.02, 0.1) * 2**attempt)  # noqa: S311 - jitter


class Credentials:
    """Credentials that botocore finds and refreshes, for obstore, which knows fewer sources.

    A web identity (IRSA), a container's (Pod Identity), an instance's, a profile.
    """

    refresh_threshold = dt.timedelta(0)

    def __init__(self) -> None:
        self._session = get_session()

    async def __call__(self) -> S3Credential:
        """Return the current credentials; botocore knows their end, and is asked in time."""
        found = await self._session.get_credentials()
        if found is None:
            raise NoCredentialsError
        now = await found.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": dt.datetime.now(dt.UTC) + dt.timedelta(seconds=_CREDENTIALS_S),
        }


class InChunksError(Exception):
    """The object comes in chunks, which obstore does not read."""


class _ConditionError(Exception):
    """The condition of a read or a write does not hold."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """An error of obstore's.

    Parameters
    ----------
    status
        HTTP status of the answer; None where there was none.
    reason
        S3's own code, or the kind of failure; without the key.
    may_pass
        True if the request may be repeated.
    """

    status: int | None
    reason: str
    may_pass: bool

    def error(self) -> Exception:
        """Return the gateway's own error for it."""
        if self.status in _UNMET:
            return _ConditionError()
        if self.status == _NOT_FOUND and self.reason != "NoSuchBucket":
            return ObjectNotFoundError()
        if self.reason == _IN_CHUNKS:
            return InChunksError()
        if self.reason == "KeyTooLongError":
            return InvalidKeyError("the store takes no key as long")
        return StoreUnavailableError(self.reason)


def _fault(text: str) -> _Fault:
    if (answer := _ANSWER.search(text)) is not None:
        status, reason = int(answer[1]), answer[2] or "unknown"
        passes = status >= _SERVER_ERROR or status in _PASSING or reason in _PASSING_CODES
        return _Fault(status, reason, passes)
    if (missing := _CREDENTIALS.search(text)) is not None:
        return _Fault(None, missing[1], may_pass=False)
    if _IN_CHUNKS in text:
        return _Fault(None, _IN_CHUNKS, may_pass=False)
    if _MOVED in text:
        return _Fault(None, "PermanentRedirect", may_pass=False)
    unanswered = _UNANSWERED.search(text)
    return _Fault(None, f"HTTP{unanswered[1]}Error" if unanswered else "unknown", may_pass=True)


def _check(key: str) -> None:
    if _CONTROL.search(key):
        raise InvalidKeyError("S3 takes no control characters in the key of what is written")


def _config(meta: Any, bucket: str) -> S3Config:
    """Return the bucket's address and options, as aiobotocore's client has them.

    All are given, as obstore reads missing ones from variables of its own.
    """
    endpoint: str = meta.endpoint_url
    address = urlsplit(endpoint)
    # As botocore: with the bucket in the host's name, where the certificate covers it.
    in_host = "." not in bucket and str(address.hostname).endswith(_AWS_HOSTS)
    if in_host:
        endpoint = address._replace(netloc=f"{bucket}.{address.netloc}").geturl()
    config: S3Config = {
        "aws_endpoint_url_s3": endpoint,
        "region": meta.region_name,
        "virtual_hosted_style_request": in_host,
        "conditional_put": "etag",
        "disable_bulk_delete": True,
        "skip_signature": False,
        "unsigned_payload": False,
    }
    if meta.config.request_checksum_calculation == "when_supported":
        config["checksum_algorithm"] = "SHA256"  # which the signature needs anyway
    return config


def _client_options(timeout_s: float) -> ClientConfig:
    options: ClientConfig = {
        "allow_http": True,
        "connect_timeout": dt.timedelta(seconds=min(2.0, timeout_s)),
        "timeout": dt.timedelta(seconds=timeout_s),
        "pool_idle_timeout": dt.timedelta(seconds=_IDLE_S),
        "user_agent": f"radstream/{__version__}",
    }
    if (bundle := os.environ.get("AWS_CA_BUNDLE")) is not None:
        try:
            options["root_certificate"] = Path(bundle).read_bytes()
        except OSError as error:
            raise StoreUnavailableError(f"AWS_CA_BUNDLE: {error.strerror}") from error
    return options
