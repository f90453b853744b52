"""`radstream verify`: looks over a store, such as one that was restored."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import click

from gateway.cli.environment import read_settings
from gateway.cli.json_output import json_option
from gateway.cli.opened_store import StoreNotReadError, opened_store
from gateway.cli.progress import progress
from gateway.errors import StoreUnavailableError
from gateway.results.study_documents import StudyDocuments
from gateway.search.changed_studies import ChangedStudies
from gateway.search.study_index import StudyIndex
from gateway.storage.layout import TENANTS, tenant_prefix
from gateway.storage.tenant_store import TenantStore
from gateway.verification.store import Verification

if TYPE_CHECKING:
    from gateway.settings import StoreSettings
    from gateway.storage.protocol import ObjectStore
    from gateway.verification.findings import Finding

# More than a gateway may have, of those that were taken out of its settings.
_TENANTS = 1000


@click.command()
@json_option("each line")
@click.option(
    "--reindex",
    is_flag=True,
    help="Make the search index anew of the studies' documents; nothing else is looked at.",
)
def verify(*, as_json: bool, reindex: bool) -> None:
    """Verify the store: documents, images and the references between them. Write nothing.

    Print a line for each finding, which may hold a study_id. End with status 1 if one is a fault,
    with 2 if the store does not answer.
    """
    if reindex:
        reindex_store(read_settings().store, as_json=as_json)
        return
    sys.exit(0 if verify_store(read_settings().store, as_json=as_json) else 1)


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


def reindex_store(settings: StoreSettings, *, as_json: bool) -> None:
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
    told = {
        "added": counts["missing"],
        "corrected": counts["stale"],
        "removed": counts["gone"],
        "right": counts["same"],
    }
    if as_json:
        click.echo(json.dumps(told))
        return
    counted = ", ".join(f"{name} {count}" for name, count in told.items())
    click.echo(f"search index: entries {counted}", err=True)


async def _reindex(settings: StoreSettings) -> dict[str, int]:
    counts: Counter[str] = Counter()
    async with opened_store(settings, is_written=True) as objects:
        for _, part in await _parts(objects):
            changed = ChangedStudies()
            documents = StudyDocuments(part)
            counts += await StudyIndex(part, documents, changed).reconciliation.reindex()
    return counts


async def _verify(settings: StoreSettings, *, as_json: bool) -> bool:
    counts: Counter[str] = Counter()
    async with opened_store(settings) as objects:
        parts = [(prefix, Verification(part)) for prefix, part in await _parts(objects)]
        studies = sum([await each.count() for _, each in parts])
        with progress("studies", studies) as shown:
            for prefix, verification in parts:
                verification.on_studies = shown.step
                async for found in verification.findings():
                    finding = replace(found, key=f"{prefix}{found.key}")
                    counts["faults" if finding.is_fault else "notes"] += 1
                    shown.echo(_line(finding, as_json=as_json))
                counts["studies"] += verification.studies
                counts["objects"] += verification.checked
    names = ("studies", "objects", "faults", "notes")
    click.echo(", ".join(f"{name}: {counts[name]}" for name in names), err=as_json)
    return not counts["faults"]


def _line(finding: Finding, *, as_json: bool) -> str:
    severity = "fault" if finding.is_fault else "note"
    if as_json:
        return json.dumps({"severity": severity, **asdict(finding)})
    return f"{severity}  {finding.kind}  {finding.key}  {finding.detail}"


async def _parts(objects: ObjectStore) -> list[tuple[str, ObjectStore]]:
    """Return the store, and the part of each tenant that it has, each with its prefix."""
    tenants = await objects.folders(TENANTS, after="", limit=_TENANTS)
    return [
        ("", objects),
        *((tenant_prefix(tenant), TenantStore(objects, tenant)) for tenant in tenants),
    ]
