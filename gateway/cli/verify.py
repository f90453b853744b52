"""`radstream verify`: looks over a store, such as one that was restored."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gateway.errors import StoreUnavailableError
from gateway.results.study_documents import StudyDocuments
from gateway.search.changed_studies import ChangedStudies
from gateway.search.study_index import StudyIndex
from gateway.storage.folder import FolderStore
from gateway.storage.object_client import encryption
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


def reindex_store(settings: StoreSettings) -> None:
    """Make the search index anew of the documents, and print what was amiss with it.

    Raises
    ------
    StoreNotVerifiedError
        The store does not answer.
    """
    try:
        counts = asyncio.run(_reindex(settings))
    except StoreUnavailableError as error:
        raise StoreNotVerifiedError(f"the store does not answer: {error.reason}") from error
    click.echo(
        f"search index: entries added {counts['missing']}, corrected {counts['stale']}, "
        f"removed {counts['gone']}, right {counts['same']}",
        err=True,
    )


async def _reindex(settings: StoreSettings) -> dict[str, int]:
    async with _opened(settings, is_written=True) as objects:
        changed = ChangedStudies()
        documents = StudyDocuments(objects)
        return await StudyIndex(objects, documents, changed).reconciliation.reindex()


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
async def _opened(
    settings: StoreSettings, *, is_written: bool = False
) -> AsyncIterator[ObjectStore]:
    """Yield the store. A folder is not made; nothing in it is tidied where it is only read of."""
    if settings.kind == "folder":
        if not settings.folder.is_dir():
            raise StoreNotVerifiedError(f"there is no folder {settings.folder}")
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
