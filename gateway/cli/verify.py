"""`radstream verify`: looks over a store, such as one that was restored."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from gateway.cli.opened_store import StoreNotReadError, opened_store
from gateway.errors import StoreUnavailableError
from gateway.results.study_documents import StudyDocuments
from gateway.search.changed_studies import ChangedStudies
from gateway.search.study_index import StudyIndex
from gateway.verification.store import Verification

if TYPE_CHECKING:
    from gateway.settings import StoreSettings


def verify_store(settings: StoreSettings, *, as_json: bool) -> bool:
    """Print what is amiss with a store, a line each; return True if none of it is a fault.

    Raises
    ------
    StoreNotReadError
        The store does not answer.
    """
    try:
        return asyncio.run(_verify(settings, as_json=as_json))
    except StoreUnavailableError as error:
        raise StoreNotReadError(f"the store does not answer: {error.reason}") from error


def reindex_store(settings: StoreSettings) -> None:
    """Make the search index anew of the documents, and print what was amiss with it.

    Raises
    ------
    StoreNotReadError
        The store does not answer.
    """
    try:
        counts = asyncio.run(_reindex(settings))
    except StoreUnavailableError as error:
        raise StoreNotReadError(f"the store does not answer: {error.reason}") from error
    click.echo(
        f"search index: entries added {counts['missing']}, corrected {counts['stale']}, "
        f"removed {counts['gone']}, right {counts['same']}",
        err=True,
    )


async def _reindex(settings: StoreSettings) -> dict[str, int]:
    async with opened_store(settings, is_written=True) as objects:
        changed = ChangedStudies()
        documents = StudyDocuments(objects)
        return await StudyIndex(objects, documents, changed).reconciliation.reindex()


async def _verify(settings: StoreSettings, *, as_json: bool) -> bool:
    faults = notes = 0
    async with opened_store(settings) as objects:
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
