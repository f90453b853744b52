"""Storage commitment that archives were asked for and have yet to report on.

Before an archive is asked, ``work/asked/{transaction_uid}/{item}.{study_id}`` is written, an
`AskedCommitment` of a delivery. A report is kept beside it, ``report.json``, before it is answered,
until the study's document has what it says: so it counts whichever gateway asked, and whatever
ended since. The Transaction UIDs begin with the time, so that a listing tells
which requests are over.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from gateway.schemas.result import RenderingKind
from gateway.schemas.stored_document import StoredDocument
from gateway.storage.documents import create_document, read_or_none
from gateway.storage.layout import ASKED
from gateway.work.keys import WorkId

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gateway.storage.protocol import ObjectStore

KEPT_S = 7 * 86_400
"""Seconds that a report is waited for."""
REPORT = "report.json"
"""Name of the report on a request."""
_ROOT = "2.25."
# RFC 9562, 5.7: 48 bits of milliseconds, the version, 12 random bits, the variant, 62 random bits.
_TIME_BITS, _VERSION, _VARIANT = 80, 7 << 76, 2 << 62
_MOST_DIGITS = 39


class AskedCommitment(StoredDocument):
    """Object whose storage commitment an archive was asked for; its key names the delivery."""

    schema_: Literal["radstream.asked-commitment/1"] = Field(
        "radstream.asked-commitment/1", alias="schema"
    )
    destination: str
    rendering: RenderingKind
    revision: str = Field(description="State of the study that was brought.")
    sop_instance_uid: str


class KeptReport(StoredDocument):
    """Report of an archive on one object, which is yet to be applied."""

    schema_: Literal["radstream.commitment-report/1"] = Field(
        "radstream.commitment-report/1", alias="schema"
    )
    committed: bool
    reason: int | None = Field(None, description="Failure Reason (0008,1197), where there is one.")


class Reported(NamedTuple):
    """A request that was reported on."""

    transaction_uid: str
    work: WorkId
    asked: AskedCommitment
    report: KeptReport


class AskedCommitments:
    """Requests of all gateways on one store.

    Attributes
    ----------
    kept
        Set when a report was kept that no attempt of this gateway waits for.
    """

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self.kept = asyncio.Event()

    async def add(self, work: WorkId, asked: AskedCommitment) -> str:
        """Note a request that is about to be made; return its Transaction UID."""
        transaction_uid = new_transaction_uid(time.time())
        key = f"{_folder(transaction_uid)}{work.id}.{work.study_id}"
        await create_document(self._objects, key, asked)
        return transaction_uid

    async def end(self, transaction_uid: str) -> None:
        """Forget a request: no report is waited for any more."""
        await self._objects.purge(_folder(transaction_uid))

    async def keep(
        self, transaction_uid: str, committed: Collection[str], failed: Mapping[str, int | None]
    ) -> bool:
        """Keep a report, unless there is one; return False where no such request was made.

        Parameters
        ----------
        committed, failed
            SOP Instance UIDs, the latter with their Failure Reasons.
        """
        found = await self._find(transaction_uid)
        if found is None:
            return False
        uid = found[1].sop_instance_uid
        if uid not in committed and uid not in failed:
            return False
        report = KeptReport(committed=uid in committed, reason=failed.get(uid))
        await create_document(self._objects, f"{_folder(transaction_uid)}{REPORT}", report)
        return True

    async def report(self, transaction_uid: str) -> KeptReport | None:
        """Return the report that was kept on a request; None where none came."""
        key = f"{_folder(transaction_uid)}{REPORT}"
        return await read_or_none(self._objects, KeptReport, key)

    async def reported(self, transaction_uid: str) -> Reported | None:
        """Return a request with the report on it; None where one of both is not there."""
        found, report = await self._find(transaction_uid), await self.report(transaction_uid)
        return (
            None if found is None or report is None else Reported(transaction_uid, *found, report)
        )

    async def sweep(self) -> list[str]:
        """Forget the requests that are over; return those with a report, by Transaction UID."""
        oldest = new_transaction_uid(time.time() - KEPT_S)
        reported = []
        for key in await self._objects.keys(ASKED):
            transaction_uid, _, name = key.removeprefix(ASKED).partition("/")
            if name == REPORT:
                reported.append(transaction_uid)
            elif _number(transaction_uid) < _number(oldest):
                await self.end(transaction_uid)
        return reported

    async def remove_of(self, study_id: str) -> None:
        """Forget all requests for a study."""
        for key in await self._objects.keys(ASKED):
            transaction_uid, _, name = key.removeprefix(ASKED).partition("/")
            if name.partition(".")[2] == study_id:
                await self.end(transaction_uid)

    async def _find(self, transaction_uid: str) -> tuple[WorkId, AskedCommitment] | None:
        if not _number(transaction_uid):
            return None
        for key in await self._objects.keys(_folder(transaction_uid)):
            name = key.rpartition("/")[2]
            if name != REPORT:
                work_id, _, study_id = name.partition(".")
                asked = await read_or_none(self._objects, AskedCommitment, key)
                return None if asked is None else (WorkId(study_id, work_id), asked)
        return None


def new_transaction_uid(at_s: float) -> str:
    """Return a UID that nothing has, of a UUID of version 7.

    Parameters
    ----------
    at_s
        Seconds since 1970 that it begins with.

    References
    ----------
    RFC 9562, 5.7; DICOM PS3.5, B.2.
    """
    random = secrets.randbits(76) & ~(0b11 << 62)
    return f"{_ROOT}{int(at_s * 1000) << _TIME_BITS | _VERSION | _VARIANT | random}"


def _number(transaction_uid: str) -> int:
    """Return the number of a UID of ours; 0 of any other."""
    root, digits = transaction_uid[: len(_ROOT)], transaction_uid[len(_ROOT) :]
    is_one = root == _ROOT and digits.isdecimal() and len(digits) <= _MOST_DIGITS
    return int(digits) if is_one else 0


def _folder(transaction_uid: str) -> str:
    return f"{ASKED}{transaction_uid}/"
