"""Verification of the search index: its objects, and whether they say what the documents say."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from gateway.errors import ObjectNotFoundError, UnreadableDocumentError
from gateway.results.keys import study_folder
from gateway.results.study_documents import StudyDocuments
from gateway.search.changed_studies import ChangedStudies
from gateway.search.keys import part_key
from gateway.search.reconciliation import Verdict
from gateway.search.study_index import StudyIndex
from gateway.verification.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.search.reconciliation import Comparison
    from gateway.storage.protocol import ObjectStore

# An entry is written seconds after its document; one that is later is late.
_LAG = dt.timedelta(seconds=60)
_DETAILS = {
    Verdict.MISSING: (Kind.MISSING_ENTRY, "The search index has no entry of it."),
    Verdict.STALE: (Kind.STALE_ENTRY, "The search index says otherwise than its document."),
    Verdict.GONE: (Kind.STALE_ENTRY, "The search index has an entry of it, and there is no study."),
}


async def index_findings(objects: ObjectStore) -> AsyncIterator[Finding]:
    """Yield what is amiss with the search index as it is found."""
    index = StudyIndex(objects, StudyDocuments(objects), ChangedStudies())
    damaged = [finding async for finding in _damaged(index)]
    for finding in damaged:
        yield finding
    if damaged:  # there is nothing to compare before it is made anew
        return
    async for compared in index.reconciliation.comparisons(recent_days=None):
        found = await _finding(objects, index, compared)
        if found is not None:
            yield found
    async for keys in index.reconciliation.dangling():
        for key in keys:
            yield Finding(Kind.STALE_ENTRY, key, "It leads to no study that it stands for.")


async def _damaged(index: StudyIndex) -> AsyncIterator[Finding]:
    """Yield the objects that cannot be read."""
    try:
        await index.pointers.keys_of_any()
    except UnreadableDocumentError as error:
        yield Finding(Kind.UNREADABLE_DOCUMENT, error.place, f"It cannot be read: {error.reason}.")
    for day, listed in sorted((await index.days.listed()).items()):
        keys = [*listed.new, *(part_key(day, number) for number in range(listed.parts))]
        for key in keys:
            try:
                await index.days.check(key)
            except UnreadableDocumentError as error:
                detail = f"It cannot be read: {error.reason}."
                yield Finding(Kind.UNREADABLE_DOCUMENT, key, detail)


async def _finding(objects: ObjectStore, index: StudyIndex, compared: Comparison) -> Finding | None:
    key = study_folder(compared.study_id)
    entry = compared.entry
    if entry is not None and dt.datetime.now(dt.UTC) - entry.changed_at < _LAG:
        return None
    if compared.verdict is not Verdict.SAME:
        kind, detail = _DETAILS[compared.verdict]
        return Finding(kind, key, detail)
    keys_of = await index.pointers.keys_of_any()
    for pointer in keys_of(entry) if entry is not None else ():
        try:
            await objects.beginning(pointer, 1)
        except ObjectNotFoundError:
            return Finding(Kind.MISSING_ENTRY, key, "It is not found by each of its identifiers.")
    return None
