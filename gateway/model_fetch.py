"""`radstream models fetch`: brings a model repository from S3 to where Triton finds it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from gateway.clients.s3 import s3_client
from gateway.errors import InvalidKeyError, ObjectNotFoundError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TIMEOUT_S = 60.0  # of silence
_PIECE_BYTES = 2**20


async def fetch(source: str, model_repository: Path) -> list[Path]:
    """The files of all models below the source, written into the repository.

    Parameters
    ----------
    source
        ``s3://BUCKET/PREFIX``; what follows the prefix is a file's way in the repository.
        Credentials, region and endpoint are those of AWS's own variables and files.
    model_repository
        Made if need be. A file that is there is written over; others stay.

    Raises
    ------
    ObjectNotFoundError
        There is nothing below the source.
    InvalidKeyError
        A key leads out of the repository.
    StoreUnavailableError
        S3 does not answer, or refuses.
    """
    bucket, prefix = urlsplit(source).netloc, urlsplit(source).path.lstrip("/")
    async with s3_client(region=None, endpoint=None, connections=1, timeout_s=_TIMEOUT_S) as client:
        try:
            targets = {
                key: _target(model_repository, key, prefix)
                async for key in _keys(client, bucket, prefix)
            }
            for key, target in targets.items():
                await _download(client, bucket, key, target)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailableError(str(error)) from error
    if not targets:
        raise ObjectNotFoundError
    _add_versions(model_repository)
    return sorted(targets.values())


async def _keys(client: Any, bucket: str, prefix: str) -> AsyncIterator[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    async for page in pages:
        for found in page.get("Contents", ()):
            if not found["Key"].endswith("/"):  # what consoles make for an empty folder
                yield found["Key"]


def _target(model_repository: Path, key: str, prefix: str) -> Path:
    way = PurePosixPath(key.removeprefix(prefix).lstrip("/"))
    if way.is_absolute() or ".." in way.parts or not way.parts:
        raise InvalidKeyError("a key leads out of the repository")
    return model_repository / way


async def _download(client: Any, bucket: str, key: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    response = await client.get_object(Bucket=bucket, Key=key)
    with target.open("wb") as file:
        async for piece in response["Body"].iter_chunks(_PIECE_BYTES):
            file.write(piece)


def _add_versions(model_repository: Path) -> None:
    """Give each model without a version its first: an ensemble's is empty, which S3 cannot hold."""
    for config in model_repository.glob("*/config.pbtxt"):
        if not any(path.is_dir() and path.name.isdecimal() for path in config.parent.iterdir()):
            (config.parent / "1").mkdir()
