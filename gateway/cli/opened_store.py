"""The store, opened by a command that is no gateway."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from gateway.storage.folder import FolderStore
from gateway.storage.object_client import encryption
from gateway.storage.s3 import S3Store, s3_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.settings import StoreSettings
    from gateway.storage.protocol import ObjectStore


class StoreNotReadError(click.ClickException):
    """The store was not read to the end of what the command looks for."""

    exit_code = 2


@asynccontextmanager
async def opened_store(
    settings: StoreSettings, *, is_written: bool = False, is_made: bool = False
) -> AsyncIterator[ObjectStore]:
    """Yield the store. Nothing in a folder is tidied where it is only read of.

    Parameters
    ----------
    is_written
        True where the command writes to it.
    is_made
        True makes a folder that is not there: the command comes before the first gateway.
    """
    if settings.kind == "folder":
        if not is_made and not settings.folder.is_dir():
            raise StoreNotReadError(f"there is no folder {settings.folder}")
        folder = FolderStore(settings.folder)
        if is_written:
            await folder.open()
        yield folder
        return
    async with s3_client(
        region=settings.region,
        endpoint=settings.endpoint,
        connections=settings.connections,
        timeout_s=settings.timeout_s,
    ) as client:
        yield S3Store(
            client,
            settings.results_bucket or "",
            timeout_s=settings.timeout_s,
            encryption=encryption(settings.sse, settings.kms_key_id),
        )
