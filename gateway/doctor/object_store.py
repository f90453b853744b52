"""The object store, by what it really lets the gateway do with an object of its own."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from gateway.doctor.findings import Check, FaultError, Finding, Outcome, Side
from gateway.errors import ObjectNotFoundError, StoreError, StoreUnavailableError
from gateway.settings import DELIMITER, PREFIX
from gateway.storage.folder import FolderStore
from gateway.storage.layout import IMAGES, RESULTS, WORK
from gateway.storage.object_client import encryption
from gateway.storage.s3 import S3Store, s3_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gateway.settings import StoreSettings
    from gateway.storage.protocol import ObjectStore

T = TypeVar("T")

_STORE = f"{PREFIX}STORE{DELIMITER}"
_EVENT_BRIDGE = "EventBridgeConfiguration"
_PROBE_BYTES = b"radstream doctor"
_TYPE = "application/octet-stream"
# Beginnings of S3's codes, or of the library's words; detail, side and change.
_MEANINGS = (
    (
        ("NoSuchBucket",),
        "there is no such bucket",
        Side.GATEWAY,
        _STORE + "{setting}: a bucket of this account, or create {target}",
    ),
    (
        ("AccessDenied", "403", "AllAccessDisabled", "KMS.AccessDenied"),
        "{action} is denied",
        Side.PEER,
        "the role's policy: allow {action} on {target} (docs/deploy-aws.md)",
    ),
    (
        (
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "Unable to locate",
            "NoCred",
        ),
        "the credentials are not taken",
        Side.GATEWAY,
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile, or the role",
    ),
    (
        ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocation", "301"),
        "the bucket is in another region",
        Side.GATEWAY,
        _STORE + "REGION: the region of {target}",
    ),
    (
        ("RequestTimeTooSkewed",),
        "S3 refuses this machine's time",
        Side.GATEWAY,
        "the clock of this machine: have it follow a time server (NTP)",
    ),
)


async def store_findings(settings: StoreSettings) -> AsyncIterator[Finding]:
    """Yield what each bucket, or the folder, allows. An object that is made is deleted again."""
    if settings.kind == "folder":
        folder = FolderStore(settings.folder)
        if settings.folder.is_dir():
            await folder.open()
            yield await _finding(str(settings.folder), _Bucket("FOLDER", settings), folder)
        else:
            detail = "the folder is not there yet; the gateway makes it"
            yield Finding(Check.STORE, str(settings.folder), Outcome.OK, detail)
        return
    results, images = settings.results_bucket or "", settings.images_bucket or ""
    try:
        async with _opened(settings, results, images) as (kept, dropped):
            yield await _finding(results, _Bucket("RESULTS_BUCKET", settings), kept)
            yield await _finding(images, _Bucket("IMAGES_BUCKET", settings), dropped)
            yield await _events(images, dropped)
    except StoreUnavailableError as error:  # no region, or an unknown profile
        change = f"{_STORE}REGION, AWS_REGION or the profile of AWS_PROFILE"
        yield Finding(Check.STORE, results, Outcome.FAULT, error.reason, Side.GATEWAY, change)


@asynccontextmanager
async def kept_objects(settings: StoreSettings) -> AsyncIterator[ObjectStore]:
    """Yield the store of all that is kept, to be read alone: a folder is not made."""
    if settings.kind == "folder":
        yield FolderStore(settings.folder)
        return
    async with _opened(settings, settings.results_bucket or "") as [kept]:
        yield kept


@asynccontextmanager
async def _opened(settings: StoreSettings, *names: str) -> AsyncIterator[list[S3Store]]:
    async with s3_client(
        region=settings.region,
        endpoint=settings.endpoint,
        connections=2,
        timeout_s=settings.timeout_s,
    ) as client:
        written = encryption(settings.sse, settings.kms_key_id)
        yield [
            S3Store(client, name, timeout_s=settings.timeout_s, encryption=written)
            for name in names
        ]


async def _finding(target: str, bucket: _Bucket, objects: ObjectStore) -> Finding:
    try:
        allowed = await bucket.tried(target, objects)
    except FaultError as error:
        return error.of(Check.STORE, target)
    return Finding(Check.STORE, target, Outcome.OK, f"allows {', '.join(allowed)}")


async def _events(target: str, dropped: S3Store) -> Finding:
    """Return who is told of what is dropped into the bucket, where this role may ask that."""
    try:
        receivers = await dropped.event_receivers()
    except StoreUnavailableError as error:
        detail = f"s3:GetBucketNotification is not answered: {error.reason}"
        return Finding(Check.BUCKET_EVENTS, target, Outcome.SKIPPED, detail)
    if not receivers:
        return Finding(
            Check.BUCKET_EVENTS,
            target,
            Outcome.WARNING,
            "it tells nobody of its objects: no dropped file is ever noticed",
            Side.PEER,
            f"the properties of {target}: send notifications to Amazon EventBridge, as "
            "serverless.yml does",
        )
    if _EVENT_BRIDGE not in receivers:
        detail = f"its events go to {', '.join(sorted(receivers))}, and not to EventBridge"
        change = f"the properties of {target}: send notifications to Amazon EventBridge, unless "
        change += "something else brings them to /v1/events/s3"
        warning = Outcome.WARNING
        return Finding(Check.BUCKET_EVENTS, target, warning, detail, Side.PEER, change)
    detail = "its events go to EventBridge; the rule and the forwarder behind it are not looked at"
    return Finding(Check.BUCKET_EVENTS, target, Outcome.OK, detail)


class _Bucket:
    """The trial of one bucket, or the folder.

    Parameters
    ----------
    setting
        Name of the setting that names it.
    """

    def __init__(self, setting: str, settings: StoreSettings) -> None:
        self._setting = setting
        self._settings = settings

    async def tried(self, target: str, objects: ObjectStore) -> list[str]:
        """Return the requests that are allowed.

        Raises
        ------
        FaultError
            One is not, that the gateway needs.
        """
        if self._setting == "IMAGES_BUCKET":  # its senders' alone to write to
            await self._may("s3:ListBucket", target, lambda: objects.keys(IMAGES))
            await self._may("s3:GetObject", target, lambda: self._absent(objects))
            return ["list", "read"]
        key = f"{WORK}doctor-{secrets.token_hex(8)}"
        await self._may("s3:ListBucket", target, lambda: objects.keys(f"{RESULTS}doctor/"))
        made = await self._may(
            "s3:PutObject", target, lambda: objects.create(key, _PROBE_BYTES, media_type=_TYPE)
        )
        read = await self._may("s3:GetObject", target, lambda: objects.read(key))
        again = await self._may(
            "s3:PutObject", target, lambda: objects.create(key, b"another", media_type=_TYPE)
        )
        await self._may("s3:DeleteObject", target, lambda: objects.delete(key))
        if not made or read != _PROBE_BYTES or again:
            raise FaultError(
                "it overwrites an object that was to be created only where none is (If-None-Match)",
                Side.PEER,
                f"an S3 with conditional writes at {_STORE}ENDPOINT: studies would be lost in this",
            )
        return ["list", "create", "read", "conditional writes", "delete"]

    async def _absent(self, objects: ObjectStore) -> None:
        try:
            await objects.read(f"{IMAGES}doctor-{secrets.token_hex(8)}")
        except ObjectNotFoundError:
            return

    async def _may(self, action: str, target: str, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except StoreError as error:
            reason = getattr(error, "reason", type(error).__name__)
            raise FaultError(*self._meaning(action, target, reason)) from error

    def _meaning(self, action: str, target: str, reason: str) -> tuple[str, Side, str]:
        """Return detail, side and change for a reason, which is S3's code or of the connection."""
        if self._setting == "FOLDER":
            change = f"{_STORE}FOLDER: a folder that this account may write to"
            return f"no {action.removeprefix('s3:')}: {reason}", Side.GATEWAY, change
        for codes, detail, side, change in _MEANINGS:
            if reason.startswith(codes):
                values = {"action": action, "target": target, "setting": self._setting}
                return detail.format(**values), side, change.format(**values)
        at = self._settings.endpoint or "S3 of the region"
        change = f"{_STORE}ENDPOINT and {_STORE}REGION, or the way to {at}"
        return f"{at} does not answer {action}: {reason}", Side.EITHER, change
