"""`radstream verify`: looks over a store, such as one that was restored."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gateway.errors import StoreUnavailableError
from gateway.storage.folder import FolderStore
from gateway.storage.s3 import S3Store, s3_client
from gateway.verification.store import Verification

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.settings import StoreSettings
    from gateway.storage.protocol import ObjectStore


class StoreNotVerifiedError(click.ClickException):
    """The walk did not come to its end, whatever was found until then."""

    exit_code = 2


def verify_store(settings: StoreSettings, *, as_json: bool) -> bool:
    """Print what is amiss with a store, a line each; return True if none of it is a fault.

    Raises
    ------
    StoreNotVerifiedError
        The store does not answer.
    """
    try:
        return asyncio.run(_verify(settings, as_json=as_json))
    except StoreUnavailableError as error:
        raise StoreNotVerifiedError(f"the store does not answer: {error.reason}") from error


async def _verify(settings: StoreSettings, *, as_json: bool) -> bool:
    faults = notes = 0
    async with _opened(settings) as objects:
        verification = Verification(objects)
        async for finding in verification.findings():
            faults += finding.is_fault
            notes += not finding.is_fault
            severity = "fault" if finding.is_fault else "note"
            if as_json:
                click.echo(json.dumps({"severity": severity, **asdict(finding)}))
            else:
                click.echo(f"{severity}  {finding.kind}  {finding.key}  {finding.detail}")
    click.echo(
        f"studies: {verification.studies}, objects: {verification.checked}, "
        f"faults: {faults}, notes: {notes}",
        err=as_json,
    )
    return not faults


@asynccontextmanager
async def _opened(settings: StoreSettings) -> AsyncIterator[ObjectStore]:
    """Yield the store, to read of: a folder is not made, and nothing in it is tidied."""
    if settings.kind == "folder":
        if not settings.folder.is_dir():
            raise StoreNotVerifiedError(f"there is no folder {settings.folder}")
        yield FolderStore(settings.folder)
        return
    async with s3_client(
        region=settings.region,
        endpoint=settings.endpoint,
        connections=settings.connections,
        timeout_s=settings.timeout_s,
    ) as client:
        yield S3Store(
            client, settings.results_bucket or "", timeout_s=settings.timeout_s, encryption={}
        )
