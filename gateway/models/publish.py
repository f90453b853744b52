"""`radstream models publish`: brings a model repository to S3, under its own digest, for good."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from gateway.errors import ContractError, ObjectNotFoundError
from gateway.models.config_file import same_answers
from gateway.models.fetch import model_store, read_object, split_source
from gateway.models.manifest import NAME, ModelFile, ModelManifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from gateway.models.manifest import VersionContents

# What S3 answers to If-None-Match: * where the key is taken, or is being taken.
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}


async def publish(model_repository: Path, target: str) -> str:
    """Upload a repository and return its digest.

    Parameters
    ----------
    model_repository
        Hidden files and compiled Python stay behind.
    target
        ``s3://BUCKET/PREFIX``; the files go to ``PREFIX/DIGEST/``, the manifest last.

    Raises
    ------
    ObjectNotFoundError
        The repository has no files.
    ContractError
        A version of a model has been published with other contents: what it answered would stand
        in results under the same name and version. It needs a new version number.
    StoreUnavailableError
        S3 does not answer, or refuses.
    """
    bucket, prefix = split_source(target)
    paths = _files(model_repository)
    if not paths:
        raise ObjectNotFoundError
    manifest = ModelManifest(files=tuple(_described(name, path) for name, path in paths.items()))
    root = f"{prefix}{manifest.digest}/"
    async with model_store() as client:
        async for folder, other in _published(client, bucket, prefix):
            for version, contents in _with_another_config(manifest, other):
                published = await read_object(client, bucket, f"{folder}{contents.config.path}")
                own = paths[contents.config.path].read_bytes()
                if not same_answers(own, published, version.rpartition("/")[2]):
                    raise _other_contents(version)
        for name, path in paths.items():
            await _put_once(client, bucket, f"{root}{name}", path.read_bytes())
        await _put_once(client, bucket, f"{root}{NAME}", manifest.document())
    return manifest.digest


def _files(model_repository: Path) -> dict[str, Path]:
    """Return the files that are published, by their way in the repository."""
    found = {path.relative_to(model_repository): path for path in model_repository.rglob("*")}
    return {
        way.as_posix(): path
        for way, path in sorted(found.items())
        if path.is_file()
        and not any(part.startswith(".") or part == "__pycache__" for part in way.parts)
    }


def _described(name: str, path: Path) -> ModelFile:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return ModelFile(path=name, sha256=sha256, size=path.stat().st_size)


async def _published(
    client: Any, bucket: str, prefix: str
) -> AsyncIterator[tuple[str, ModelManifest]]:
    """Yield the folder of each published repository, and its manifest."""
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter="/"
    )
    async for page in pages:
        for found in page.get("CommonPrefixes", ()):
            try:
                document = await read_object(client, bucket, f"{found['Prefix']}{NAME}")
                yield found["Prefix"], ModelManifest.model_validate_json(document)
            except (ObjectNotFoundError, ValidationError):
                continue  # an upload that broke off, or a folder of somebody else's


def _with_another_config(
    manifest: ModelManifest, other: ModelManifest
) -> Iterator[tuple[str, VersionContents]]:
    """Yield versions that were published under another config.pbtxt, as they are now.

    Raises
    ------
    ContractError
        The version's own files are others.
    """
    published = other.versions()
    for version, contents in manifest.versions().items():
        before = published.get(version, contents)
        if before.files != contents.files:
            raise _other_contents(version)
        if before.config.sha256 != contents.config.sha256:
            yield version, contents


def _other_contents(version: str) -> ContractError:
    return ContractError(
        f"{version} was published with other contents: give it a new version number"
    )


async def _put_once(client: Any, bucket: str, key: str, data: bytes) -> None:
    """Write an object that is never written over; one that is there has the same bytes."""
    try:
        await client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in _TAKEN:
            raise
