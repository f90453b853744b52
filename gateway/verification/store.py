"""Verification of a store: every document readable, every image whole, nothing missing.

Nothing is written. The walk goes from folder to folder, so that memory does not grow with the
store. Gateways may use the store meanwhile: what looks amiss is looked at anew before it is told.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gateway.admission.day_counts import DayCounts
from gateway.dimse.commitment_work import OwedReport
from gateway.dropfolder.documents import Binding, WaitingHalf
from gateway.models.acceptances import Acceptance
from gateway.monitoring.counts import ReadingCounts
from gateway.monitoring.documents import ModelHealth
from gateway.results.asked_commitments import REPORTS, AskedCommitment, KeptReport
from gateway.results.completion import CompletionEntry
from gateway.results.document_room import RecordRest
from gateway.results.documents import StudyDocument
from gateway.results.instances import InstancePointer
from gateway.results.keys import rest_folder
from gateway.results.tombstone import Closing, Tombstone
from gateway.results.withdrawn_study import WithdrawnStudy
from gateway.routing.canary_readings import CanaryReadings
from gateway.routing.roll_back import RolledBack
from gateway.runtime.concurrency import together
from gateway.schemas.parked import ParkedItem
from gateway.schemas.routing import RoutingDocument
from gateway.storage import layout
from gateway.verification.findings import Finding, Kind, Look
from gateway.verification.search_index import index_findings
from gateway.verification.study import look_at_study
from gateway.work.documents import (
    OwedReadings,
    PendingCallback,
    PendingDelivery,
    Submission,
)
from gateway.work.entries import JOB
from gateway.work.keys import KINDS, delivery_kind, of_parked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from pydantic import BaseModel

    from gateway.storage.protocol import ObjectStore

    _LookAt = Callable[[ObjectStore, str], Awaitable[Look]]

_OF_WITHDRAWAL: dict[str, type[BaseModel]] = {
    "result.json": StudyDocument,
    "study.json": WithdrawnStudy,
}
_ROOTS = {prefix.partition("/")[0] for prefix in (*layout.STORE, layout.TENANTS)}

# A folder store goes through all names of a folder for each page of them.
_PAGE = 10_000
# Each has one object in memory at a time.
_AT_ONCE = 8


class Verification:
    """One walk over a store.

    Parameters
    ----------
    objects
        The store.

    Attributes
    ----------
    studies, checked
        Studies and objects that were looked at so far.
    on_studies
        Told of the number of studies after each few that were looked at.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.studies = 0
        self.checked = 0
        self.on_studies: Callable[[int], None] = lambda _: None

    async def count(self) -> int:
        """Return the number of studies that there are to be looked at.

        Raises
        ------
        StoreUnavailableError
            The store cannot be listed.
        """
        return sum([1 async for _ in self._folders(layout.RESULTS)])

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield what is amiss as it is found.

        Raises
        ------
        StoreUnavailableError
            The store cannot be listed.
        """
        async for name in self._folders(""):
            if name not in _ROOTS:
                yield Finding(Kind.ORPHAN_OBJECT, f"{name}/", "RadStream keeps nothing here.")
        async for look, names in self._parts():
            looks = await together(_steady(look, self._objects, name) for name in names)
            if look is look_at_study:
                self.studies += len(looks)
                self.on_studies(len(looks))
            self.checked += sum(len(each.keys) for each in looks)
            for each in looks:
                for finding in each.findings:
                    yield finding
        async for finding in index_findings(self._objects):
            yield finding

    async def _parts(self) -> AsyncIterator[tuple[_LookAt, Sequence[str]]]:
        """Yield what looks at a part of the store, with names of a few such parts."""
        by_folder: dict[str, _LookAt] = {
            layout.RESULTS: look_at_study,
            layout.SUBMISSIONS: partial(_look_at_entries, layout.SUBMISSIONS, Submission),
            layout.CALLBACKS: partial(_look_at_entries, layout.CALLBACKS, PendingCallback),
            layout.READINGS: partial(_look_at_entries, layout.READINGS, OwedReadings),
            layout.COMPLETION: partial(_look_at_entries, layout.COMPLETION, CompletionEntry),
            layout.COMMITMENTS: partial(_look_at_entries, layout.COMMITMENTS, OwedReport),
            layout.ASKED: _look_at_commitments,
            layout.DELETED: _look_at_deletion,
            layout.WAITING: _look_at_waiting,
            layout.ACCEPTANCES: _look_at_acceptances,
            layout.WITHDRAWALS: _look_at_withdrawal,
            layout.MINUTES: partial(_look_at_entries, layout.MINUTES, ReadingCounts),
            layout.MODELS: partial(_look_at_entries, layout.MODELS, ModelHealth),
        }
        for prefix, look in by_folder.items():
            async for names in _batches(self._folders(prefix)):
                yield look, names
        async for destination in self._folders(layout.DELIVERIES):
            kind = delivery_kind(destination)
            entries = partial(_look_at_entries, kind, PendingDelivery)
            async for names in _batches(self._folders(kind)):
                yield entries, names
        by_key: dict[str, _LookAt] = {
            layout.PARKED: _look_at_parked,
            layout.INSTANCES: partial(_look_at_document, InstancePointer),
            layout.BINDINGS: partial(_look_at_document, Binding),
            layout.DELETIONS: partial(_look_at_document, Closing),
            layout.ROLL_BACKS: partial(_look_at_document, RolledBack),
            layout.CANARIES: partial(_look_at_document, CanaryReadings),
            layout.QUOTAS: partial(_look_at_document, DayCounts),
            layout.ROUTING: partial(_look_at_document, RoutingDocument),
        }
        for root, look in by_key.items():
            for digit in "0123456789abcdef":  # there may be a binding for each image that ever came
                keys = await self._objects.keys(f"{root}{digit}")
                for start in range(0, len(keys), _AT_ONCE):
                    yield look, keys[start : start + _AT_ONCE]

    async def _folders(self, prefix: str) -> AsyncIterator[str]:
        after = ""
        while names := await self._objects.folders(prefix, after=after, limit=_PAGE):
            for name in names:
                yield name
            after = names[-1]


async def _batches(names: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    batch: list[str] = []
    async for name in names:
        batch.append(name)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


async def _steady(look: _LookAt, objects: ObjectStore, name: str) -> Look:
    """Return what is still amiss at a second look, if anything was at the first.

    A gateway that wrote or deleted something between two steps of the first has long done so.
    """
    first = await look(objects, name)
    if any(finding.is_fault for finding in first.findings):
        return await look(objects, name)
    return first


async def _look_at_entries(
    kind: str, document: type[BaseModel], objects: ObjectStore, due: str
) -> Look:
    """Return what is amiss with the documents of one folder, as of work due in one second."""
    look = Look(objects, await objects.keys(f"{kind}{due}/"))
    for key in look.keys:
        await look.document(document, key)
    return look


async def _look_at_parked(objects: ObjectStore, key: str) -> Look:
    """Return what is amiss with a parked item."""
    look = Look(objects, [key])
    item = await look.document(ParkedItem, key)
    if item is not None and item.half is None and any(of_parked(k, item.key) for k in KINDS):
        await look.refer(f"{item.key}/{JOB}", key)
    return look


async def _look_at_commitments(objects: ObjectStore, folder: str) -> Look:
    """Return what is amiss with a study's requests for storage commitment, or with all reports."""
    look = Look(objects, await objects.keys(f"{layout.ASKED}{folder}/"))
    for key in look.keys:
        await look.document(KeptReport if key.startswith(REPORTS) else AskedCommitment, key)
    return look


async def _look_at_deletion(objects: ObjectStore, reference: str) -> Look:
    """Return what is amiss with the notes of a study's deletions."""
    look = Look(objects, await objects.keys(f"{layout.DELETED}{reference}/"))
    for key in look.keys:
        await look.document(Tombstone, key)
    return look


async def _look_at_waiting(objects: ObjectStore, reference: str) -> Look:
    """Return what is amiss with the notes of a pair's waiting halves."""
    look = Look(objects, await objects.keys(f"{layout.WAITING}{reference}/"))
    for key in look.keys:
        await look.document(WaitingHalf, key)
    return look


async def _look_at_withdrawal(objects: ObjectStore, name: str) -> Look:
    """Return what is amiss with a withdrawal: its study, its items, and those that failed."""
    look = Look(objects, await objects.keys(f"{layout.WITHDRAWALS}{name}/"))
    for key in look.keys:
        kind = _OF_WITHDRAWAL.get(key.rpartition("/")[2], PendingDelivery)
        await look.document(RecordRest if key.startswith(rest_folder(name)) else kind, key)
    return look


async def _look_at_acceptances(objects: ObjectStore, model: str) -> Look:
    """Return what is amiss with the acceptances of a model."""
    look = Look(objects, await objects.keys(f"{layout.ACCEPTANCES}{model}/"))
    for key in look.keys:
        await look.document(Acceptance, key)
    return look


async def _look_at_document(document: type[BaseModel], objects: ObjectStore, key: str) -> Look:
    look = Look(objects, [key])
    await look.document(document, key)
    return look
