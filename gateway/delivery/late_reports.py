"""Late reports of archives on storage commitment, applied to the studies that they are of.

==================================  ============================================================
the archive                         the item of the delivery
==================================  ============================================================
has committed the object            is confirmed once all of its objects are
has no such object (0112)           is parked, for an operator to send it again or to discard it
does not commit it for some reason  tells that reason, and is not sent again
==================================  ============================================================

An item that is on its way is left to its attempt, and one that was confirmed since stays so. A
report on a request that is superseded finds none any more.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Protocol

import structlog

from gateway.delivery.storage_commitment import NO_SUCH_INSTANCE, not_committed
from gateway.errors import (
    DeliveryRefusedError,
    RadStreamError,
    StudyBeingDeletedError,
    log_fields,
)
from gateway.results.deliveries import delivery_of, is_on_its_way, with_delivery
from gateway.runtime.concurrency import together
from gateway.schemas.result import DeliveryState
from gateway.work.documents import PendingDelivery

if TYPE_CHECKING:
    from gateway.results.asked_commitments import AskedCommitments, KeptReport, Reported
    from gateway.results.documents import StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.work.keys import WorkId

log = structlog.get_logger()

_AT_ONCE = 32
_END_OLD_S = 3600.0


class Lines(Protocol):
    """Ways to all destinations."""

    async def park(
        self, destination: str, work: WorkId, document: PendingDelivery, error: RadStreamError
    ) -> None:
        """Park an item that was acknowledged."""
        ...


class LateReports:
    """Reports that came when no attempt waited for them, to any gateway on the store.

    Parameters
    ----------
    asked, documents
        The requests and the reports on them, and the studies.
    lines
        Park what an archive does not hold.
    sweep_s
        Seconds between two looks for reports that other gateways took.
    """

    def __init__(
        self, asked: AskedCommitments, documents: StudyDocuments, lines: Lines, *, sweep_s: float
    ) -> None:
        self._asked = asked
        self._documents = documents
        self._lines = lines
        self._sweep_s = sweep_s

    async def run(self) -> NoReturn:
        """Apply reports as they come, for ever."""
        ended_old: float | None = None
        while True:
            self._asked.kept.clear()
            try:
                if ended_old is None or time.monotonic() - ended_old >= _END_OLD_S:
                    await self._asked.end_old()
                    ended_old = time.monotonic()
                found = await self._asked.all_reported()
                for start in range(0, len(found), _AT_ONCE):
                    await together(map(self._apply_readable, found[start : start + _AT_ONCE]))
            except RadStreamError as error:
                log.warning("delivery.sweep_failed", **log_fields(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sweep_s):
                    await self._asked.kept.wait()

    async def _apply_readable(self, transaction_uid: str) -> None:
        try:
            found = await self._asked.reported(transaction_uid)
            if found is None or await self._apply(found):
                await self._asked.end(transaction_uid)
        except RadStreamError as error:
            log.warning("delivery.late_report_unapplied", **log_fields(error))

    async def _apply(self, found: Reported) -> bool:
        """Apply a report; return False where the attempt at its item is to end first."""
        work, asked, report = found.work, found.asked, found.report
        try:
            record = (await self._documents.read(work.study_id)).open_record()
            item = None if record is None else delivery_of(record, work.id)
            if item is None:  # the study was deleted, or has had many deliveries since
                return True
            if is_on_its_way(item):
                return False
            if item.state is not DeliveryState.ACKNOWLEDGED:  # it was in time, or is an operator's
                return True
            if not report.committed and report.reason == NO_SUCH_INSTANCE:
                await self._lines.park(
                    asked.destination,
                    work,
                    PendingDelivery(rendering=asked.rendering, revision=asked.revision),
                    DeliveryRefusedError(
                        "it acknowledged the result, and later reported not to hold it"
                    ),
                )
            else:
                change = partial(_reported, work.id, asked.sop_instance_uid, report)
                await self._documents.change_known(work.study_id, change)
        except StudyBeingDeletedError:
            return True
        log.info(
            "delivery.reported_late",
            destination=asked.destination,
            committed=report.committed,
            reason=None if report.reason is None else f"{report.reason:04X}",
        )
        return True


def _reported(
    item_id: str, sop_instance_uid: str, report: KeptReport, record: StudyRecord
) -> StudyRecord:
    """Return the record after a report on an object of an item."""
    item = delivery_of(record, item_id)
    if item is None or item.state is not DeliveryState.ACKNOWLEDGED:
        return record
    if not report.committed:
        return with_delivery(record, item_id, warning=not_committed(report.reason))
    confirmed = {*item.confirmed, sop_instance_uid}
    if confirmed.issuperset(item.objects):
        state = DeliveryState.CONFIRMED
        return with_delivery(record, item_id, state=state, confirmed=(), warning=None)
    return with_delivery(record, item_id, confirmed=tuple(sorted(confirmed)))
