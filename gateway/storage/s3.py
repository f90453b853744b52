"""The object store in an S3 bucket.

Objects that a hospital may have written are read by aiobotocore, which checks their check sum and
takes any header, and so are lists and versions; the gateway's own writes go by obstore.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError

from gateway import __version__
from gateway.errors import (
    InvalidKeyError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreUnavailableError,
)
from gateway.storage.aws_client import NO_ANSWER, aws_client
from gateway.storage.keys import split_key, split_prefix
from gateway.storage.object_client import InChunksError, ObjectClient
from gateway.storage.protocol import Tagged

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from obstore.store import S3Config

    from gateway.storage.protocol import Reserve

# No such key; no such version of it; the version is a delete marker; what a HEAD says of either.
_NOT_FOUND = {"NoSuchKey", "NoSuchVersion", "MethodNotAllowed", "404", "405"}
# The greatest character: what follows a name and it in a listing is beyond all that begins so.
_LAST = "\U0010ffff"

_PIECE_BYTES = 2**18

# CRC of what is sent, checked by S3, and of what comes, checked here. Other stores may refuse them:
# with an endpoint AWS's own variables decide (AWS_REQUEST_CHECKSUM_CALCULATION, …_VALIDATION).
_CHECKED = {
    "request_checksum_calculation": "when_supported",
    "response_checksum_validation": "when_supported",
}
_ERROR_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def s3_client(
    *, region: str | None, endpoint: str | None, connections: int, timeout_s: float
) -> AbstractAsyncContextManager[Any]:
    """Return a client of S3 with one connection pool, open until the block ends.

    Failed requests are repeated here, by botocore's standard mode, which backs off with jitter and
    within a budget, and nowhere else. See `aws_client` for credentials.

    Parameters
    ----------
    region, endpoint
        Region and endpoint of S3; None leaves them to the environment. An endpoint other than
        AWS's is asked with the bucket in the path, and with check sums as AWS's own variables say.
    connections
        Number of requests that may be under way at once; more wait for a connection.
    timeout_s
        Seconds of silence that end a request.
    """
    config = AioConfig(
        max_pool_connections=connections,
        connect_timeout=min(2.0, timeout_s),
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": 4},
        s3={"addressing_style": "path" if endpoint else "auto"},
        # Put together by botocore for each request unless it is given; says who asked, in
        # CloudTrail and S3's access logs.
        user_agent=f"radstream/{__version__}",
        parameter_validation=False,  # of each request again; S3 itself says what it will not take
        **({} if endpoint else _CHECKED),
    )
    return aws_client(
        "s3", region=region, endpoint=endpoint, config=config, unavailable=StoreUnavailableError
    )


class S3Store:
    """Objects in one bucket.

    Parameters
    ----------
    client
        Client from `s3_client`; several stores may share it.
    bucket
        Name of the bucket.
    timeout_s
        Seconds a call may take, repetitions included, where its caller's deadline is not sooner.
    encryption
        See `encryption`.
    """

    def __init__(self, client: Any, bucket: str, *, timeout_s: float, encryption: S3Config) -> None:
        self._client = client
        self._bucket = bucket
        self._timeout_s = timeout_s
        self._objects = ObjectClient(client, bucket, timeout_s=timeout_s, encryption=encryption)

    async def event_receivers(self) -> frozenset[str]:
        """Return the kinds of receivers that the bucket's events go to, by AWS's names.

        Raises
        ------
        StoreUnavailableError
            There is no such bucket, or that may not be asked.
        """
        async with self._calling():
            answer = await self._client.get_bucket_notification_configuration(Bucket=self._bucket)
        return frozenset(name for name in answer if "Configuration" in name)

    async def open(self, prefix: str) -> None:
        """List a prefix, which a role may do that may not ask for the bucket as a whole.

        Raises
        ------
        StoreUnavailableError
            There is no such bucket, or it may not be used.
        """
        async with self._calling():
            await self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=1)

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        """See `ObjectStore.read`."""
        split_key(key)
        async with self._calling():
            return (await self._get(key, limit_bytes, reserve, **_version(version_id))).data

    async def read_tagged(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> Tagged:
        """See `ObjectStore.read_tagged`; the tag is the object's ETag."""
        split_key(key)
        async with self._calling():
            if version_id is None and reserve is None:
                return await self._get_document(key, limit_bytes)
            return await self._get(key, limit_bytes, reserve, **_version(version_id))

    async def read_changed(
        self, key: str, *, tag: str | None, limit_bytes: int | None = None
    ) -> Tagged | None:
        """See `ObjectStore.read_changed`; some kinds of S3 send the object all the same."""
        split_key(key)
        async with self._calling():
            try:
                found = await self._objects.get_changed(key, limit_bytes, tag)
            except InChunksError:
                found = await self._get(key, limit_bytes, None)
            return None if found is None or found.tag == tag else found

    async def _get_document(self, key: str, limit_bytes: int | None) -> Tagged:
        try:
            return await self._objects.get(key, limit_bytes)
        except InChunksError:
            return await self._get(key, limit_bytes, None)

    async def _get(
        self, key: str, limit_bytes: int | None, reserve: Reserve | None, **version: str
    ) -> Tagged:
        response = await self._client.get_object(Bucket=self._bucket, Key=key, **version)
        async with response["Body"] as body:
            # What sits before a bucket may send an object in chunks: it may be of any size.
            length = response.get("ContentLength", limit_bytes or 0)
            if limit_bytes is not None and length > limit_bytes:
                raise ObjectTooLargeError(limit_bytes)
            if reserve is not None:
                await reserve(length)
            return Tagged(
                await _whole(body, limit_bytes),
                response["ETag"],
                response.get("LastModified"),
                response.get("VersionId"),
            )

    async def beginning(self, key: str, size: int, *, version_id: str | None = None) -> bytes:
        """See `ObjectStore.beginning`."""
        split_key(key)
        async with self._calling():
            try:
                response = await self._client.get_object(
                    Bucket=self._bucket,
                    Key=key,
                    Range=f"bytes=0-{size - 1}",
                    **_version(version_id),
                )
            except ClientError as error:
                if _code(error) == "InvalidRange":  # of an object without any byte
                    return b""
                raise
            async with response["Body"] as body:
                found: bytes = await body.read(size)
                return found

    async def written_at(self, key: str, *, version_id: str | None = None) -> dt.datetime:
        """See `ObjectStore.written_at`; of an object sent in parts, when its sending began."""
        split_key(key)
        async with self._calling():
            response = await self._client.head_object(
                Bucket=self._bucket, Key=key, **_version(version_id)
            )
        written: dt.datetime = response["LastModified"]
        return written

    async def create(self, key: str, data: bytes | memoryview, *, media_type: str) -> bool:
        """See `ObjectStore.create`; a repeated write that meets its own bytes has made them."""
        split_key(key)
        async with self._calling():
            written = await self._objects.put_if(key, data, media_type, None)
            if written.tag is not None:
                return True
            return written.repeated and await self._tag_of(key, data) is not None

    async def replace(self, key: str, data: bytes | memoryview, *, media_type: str) -> None:
        """See `ObjectStore.replace`."""
        split_key(key)
        async with self._calling():
            await self._objects.put(key, data, media_type)

    async def swap(
        self, key: str, data: bytes | memoryview, *, tag: str | None, media_type: str
    ) -> str | None:
        """See `ObjectStore.swap`."""
        split_key(key)
        async with self._calling():
            written = await self._objects.put_if(key, data, media_type, tag)
            return written.tag or await self._tag_of(key, data)

    async def _tag_of(self, key: str, data: bytes | memoryview) -> str | None:
        """Return the tag of the object if it has these bytes.

        A write whose answer was lost is repeated, and then meets its own object.
        """
        try:
            found = await self._get_document(key, len(data))
        except (ObjectNotFoundError, ObjectTooLargeError):
            return None
        return found.tag if found.data == data else None

    async def delete(self, key: str, *, tag: str | None = None) -> None:
        """See `ObjectStore.delete`; a versioned bucket keeps the older versions."""
        split_key(key)
        async with self._calling():
            if tag is None:
                await self._objects.delete(key)
                return
            try:
                await self._client.delete_object(Bucket=self._bucket, Key=key, IfMatch=tag)
            except ClientError as error:
                if _code(error) not in {"PreconditionFailed", *_NOT_FOUND}:
                    raise

    async def purge(self, prefix: str, *, past_only: bool = False) -> bool:
        """See `ObjectStore.purge`; without the right to older versions they stay."""
        split_prefix(prefix)
        try:
            async for versions in self._versions(prefix, past_only=past_only):
                await self._delete_versions(versions)
        except _DeniedError:
            for key in () if past_only else await self.keys(prefix):
                await self.delete(key)
            return False
        return True

    async def _versions(
        self, prefix: str, *, past_only: bool
    ) -> AsyncIterator[list[dict[str, str]]]:
        """Yield the versions and delete markers under the prefix, as many as S3 lists at once."""
        beyond: dict[str, str] = {}
        while True:
            async with self._calling():
                try:
                    page = await self._client.list_object_versions(
                        Bucket=self._bucket, Prefix=prefix, **beyond
                    )
                except ClientError as error:
                    raise _denied(error) from error
            versions = page.get("Versions", ())
            found = [item for item in versions if not (past_only and item["IsLatest"])]
            found += page.get("DeleteMarkers", ())
            named = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
            if named:
                yield named
            if not page.get("IsTruncated"):
                return
            beyond = {
                "KeyMarker": page["NextKeyMarker"],
                "VersionIdMarker": page["NextVersionIdMarker"],
            }

    async def _delete_versions(self, versions: Sequence[Mapping[str, str]]) -> None:
        async with self._calling():
            answer = await self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": versions, "Quiet": True}
            )
        codes = {_code_in(item) for item in answer.get("Errors", ())}
        if codes == {"AccessDenied"}:
            raise _DeniedError
        if codes:
            raise StoreUnavailableError(", ".join(sorted(codes)))

    async def keys(self, prefix: str) -> Sequence[str]:
        """See `ObjectStore.keys`."""
        split_prefix(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        async with self._calling():
            return [item["Key"] async for page in pages for item in page.get("Contents", ())]

    async def folders(self, prefix: str, *, after: str, limit: int) -> Sequence[str]:
        """See `ObjectStore.folders`."""
        split_prefix(prefix)
        beyond = {"StartAfter": f"{prefix}{after}/{_LAST}"} if after else {}
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, Delimiter="/", **beyond
        )
        found: list[str] = []
        async with self._calling():
            async for page in pages:
                names = (item["Prefix"] for item in page.get("CommonPrefixes", ()))
                found += [name.removeprefix(prefix).removesuffix("/") for name in names]
                if len(found) >= limit:
                    break
        return found[:limit]

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator[None]:
        """Bound the calls in the block, and translate botocore's errors."""
        timeout = asyncio.timeout(self._timeout_s)
        try:
            async with timeout:
                yield
        except ClientError as error:
            code = _code(error)
            if code in _NOT_FOUND:
                raise ObjectNotFoundError from error
            if code == "KeyTooLongError":
                raise InvalidKeyError("the store takes no key as long") from error
            raise StoreUnavailableError(code) from error
        except NO_ANSWER as error:
            # The class alone: some messages name the key.
            raise StoreUnavailableError(type(error).__name__) from error
        except TimeoutError as error:
            if not timeout.expired():
                raise
            raise StoreUnavailableError(f"no answer within {self._timeout_s:g} s") from error


class _DeniedError(Exception):
    """The credentials may not do this to versions."""


def _denied(error: ClientError) -> Exception:
    return _DeniedError() if _code(error) == "AccessDenied" else error


def _version(version_id: str | None) -> dict[str, str]:
    return {} if version_id is None else {"VersionId": version_id}


async def _whole(body: Any, limit_bytes: int | None) -> bytes:
    """Return the body's bytes; at most one piece is read beyond the limit."""
    pieces: list[bytes] = []
    length = 0
    async for piece in body.iter_chunks(_PIECE_BYTES):
        pieces.append(piece)
        length += len(piece)
        if limit_bytes is not None and length > limit_bytes:
            raise ObjectTooLargeError(limit_bytes)
    return b"".join(pieces)


def _code(error: ClientError) -> str:
    return _code_in(error.response.get("Error", {}))


def _code_in(fault: Mapping[str, Any]) -> str:
    """Return S3's own code; "unknown" for text that does not look like one."""
    code = str(fault.get("Code", ""))
    return code if _ERROR_CODE.fullmatch(code) else "unknown"
