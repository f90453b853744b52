"""`radstream models fetch`: brings a published model repository to where Triton finds it."""

from __future__ import annotations

import hashlib
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from pydantic import ValidationError

from gateway.errors import (
    InvalidKeyError,
    ObjectNotFoundError,
    StoreUnavailableError,
    UnreadableDocumentError,
)
from gateway.models.manifest import NAME, ModelManifest
from gateway.schemas.validation_faults import sentence
from gateway.storage.aws_client import NO_ANSWER
from gateway.storage.s3 import s3_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.models.manifest import ModelFile

_TIMEOUT_S = 60.0  # of silence
_PIECE_BYTES = 2**20


async def fetch(source: str, model_repository: Path) -> list[Path]:
    """Download a published repository, each file held to the manifest's SHA-256.

    Parameters
    ----------
    source
        ``s3://BUCKET/PREFIX/DIGEST``, as `radstream models publish` names it. Credentials, region
        and endpoint are those of AWS's own variables and files.
    model_repository
        Made if need be. A file that is there is written over; others stay.

    Raises
    ------
    InvalidKeyError
        The source does not end in a digest.
    ObjectNotFoundError
        No manifest, or not all that it names, is there.
    UnreadableDocumentError
        The manifest or a file is not what its digest says.
    StoreUnavailableError
        S3 does not answer, or refuses.
    """
    bucket, root = split_source(source)
    digest = root.rstrip("/").rpartition("/")[2]
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise InvalidKeyError("the source does not end in the digest of a published repository")
    async with model_store() as client:
        manifest = _checked(await read_object(client, bucket, f"{root}{NAME}"), digest)
        for file in manifest.files:
            await _download(client, bucket, f"{root}{file.path}", file, model_repository)
    _add_versions(model_repository)
    return sorted(model_repository / file.path for file in manifest.files)


@asynccontextmanager
async def model_store() -> AsyncIterator[Any]:
    """Yield a client of S3 for a command; region and endpoint are the environment's.

    Raises
    ------
    StoreUnavailableError
        A call in the block had no answer, or was refused.
    """
    async with s3_client(region=None, endpoint=None, connections=1, timeout_s=_TIMEOUT_S) as client:
        try:
            yield client
        except (ClientError, *NO_ANSWER) as error:
            raise StoreUnavailableError(str(error)) from error


def split_source(source: str) -> tuple[str, str]:
    """Return bucket and prefix of ``s3://BUCKET/PREFIX``, a prefix with its slash at the end."""
    parts = urlsplit(source)
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


async def read_object(client: Any, bucket: str, key: str) -> bytes:
    """Return an object's bytes.

    Raises
    ------
    ObjectNotFoundError
    """
    data: bytes = await (await _body(client, bucket, key)).read()
    return data


async def _body(client: Any, bucket: str, key: str) -> Any:
    """Return an object's bytes as a stream of the S3 library's."""
    try:
        response = await client.get_object(Bucket=bucket, Key=key)
    except client.exceptions.NoSuchKey:
        raise ObjectNotFoundError from None
    return response["Body"]


def _checked(document: bytes, digest: str) -> ModelManifest:
    if hashlib.sha256(document).hexdigest() != digest:
        raise UnreadableDocumentError(NAME, "it is not what the digest says")
    try:
        return ModelManifest.model_validate_json(document)
    except ValidationError as error:
        [fault, *_] = error.errors(include_input=False)
        raise UnreadableDocumentError(NAME, sentence(fault)) from None


async def _download(
    client: Any, bucket: str, key: str, file: ModelFile, model_repository: Path
) -> None:
    target = model_repository / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    body = await _body(client, bucket, key)
    seen = hashlib.sha256()
    with target.open("wb") as writing:
        async for piece in body.iter_chunks(_PIECE_BYTES):
            seen.update(piece)
            writing.write(piece)
    if seen.hexdigest() != file.sha256:
        target.unlink()  # Triton must not find it
        raise UnreadableDocumentError(file.path, "it is not what the manifest says")


def _add_versions(model_repository: Path) -> None:
    """Give each model without a version its first: an ensemble's is empty, which S3 cannot hold."""
    for config in model_repository.glob("*/config.pbtxt"):
        if not any(path.is_dir() and path.name.isdecimal() for path in config.parent.iterdir()):
            (config.parent / "1").mkdir()
