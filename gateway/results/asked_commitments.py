"""Storage commitment that archives were asked for and have yet to report on.

Before an archive is asked, an `AskedCommitment` of a delivery is written under
``work/asked/{study}/{transaction_uid}/{item}.{study_id}``. A report on it is kept under
``work/asked/reports/{transaction_uid}.json`` before it is answered, until the study's document has
what it says: so it counts whichever gateway asked, and whatever ended since. Of one object and
destination there is one request: what is sent or asked for again ends the one before, and a report
on that counts no more.

The Transaction UIDs begin with the time, by which requests are over, and end with ten digits of
the study's hash, ``{study}``, by which those of one study are found.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from gateway.observability.pseudonyms import key_reference
from gateway.schemas.result import RenderingKind
from gateway.schemas.stored_document import StoredDocument
from gateway.storage.documents import create_document, read_or_none
from gateway.storage.layout import ASKED
from gateway.work.keys import WorkId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

    from gateway.storage.protocol import ObjectStore

KEPT_S = 7 * 86_400
"""Seconds that a report is waited for."""
REPORTS = f"{ASKED}reports/"
"""Beginning of the keys of reports."""
_ROOT = "2.25."
# RFC 9562, 5.8: 48 bits of milliseconds, the version, 12 random bits, the variant, 22 random bits,
# 40 bits of the study.
_TIME_BITS, _VERSION, _VARIANT, _STUDY_BITS = 80, 8 << 76, 2 << 62, 40
_STUDY_DIGITS = _STUDY_BITS // 4
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
        transaction_uid = new_transaction_uid(work.study_id, time.time())
        key = f"{_folder(transaction_uid)}{work.id}.{work.study_id}"
        await create_document(self._objects, key, asked)
        return transaction_uid

    async def end(self, transaction_uid: str) -> None:
        """Forget a request: no report is waited for any more."""
        await self._objects.purge(_folder(transaction_uid))
        await self._objects.purge(report_key(transaction_uid))

    async def open_on(self, study_id: str, destination: str, sop_instance_uid: str) -> list[str]:
        """Return the Transaction UIDs of requests for an object that a destination was brought."""
        found = []
        async for transaction_uid, key in self._of(study_id):
            asked = await read_or_none(self._objects, AskedCommitment, key)
            named = asked and (asked.destination, asked.sop_instance_uid)
            if named == (destination, sop_instance_uid):
                found.append(transaction_uid)
        return found

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
        await create_document(self._objects, report_key(transaction_uid), report)
        return True

    async def report(self, transaction_uid: str) -> KeptReport | None:
        """Return the report that was kept on a request; None where none came."""
        return await read_or_none(self._objects, KeptReport, report_key(transaction_uid))

    async def reported(self, transaction_uid: str) -> Reported | None:
        """Return a request with the report on it; None where one of both is not there."""
        found, report = await self._find(transaction_uid), await self.report(transaction_uid)
        return (
            None if found is None or report is None else Reported(transaction_uid, *found, report)
        )

    async def all_reported(self) -> list[str]:
        """Return the Transaction UIDs of requests with a report."""
        keys = await self._objects.keys(REPORTS)
        return [key.removeprefix(REPORTS).removesuffix(".json") for key in keys]

    async def end_old(self) -> None:
        """Forget the requests that are over."""
        oldest = int((time.time() - KEPT_S) * 1000)
        for key in await self._objects.keys(ASKED):
            transaction_uid = key.split("/")[-2]
            if not key.startswith(REPORTS) and _number(transaction_uid) >> _TIME_BITS < oldest:
                await self.end(transaction_uid)

    async def remove_of(self, study_id: str) -> None:
        """Forget all requests for a study."""
        async for transaction_uid, _ in self._of(study_id):
            await self.end(transaction_uid)

    async def _of(self, study_id: str) -> AsyncIterator[tuple[str, str]]:
        """Yield the Transaction UIDs of a study's requests, and their keys."""
        for key in await self._objects.keys(commitments_folder(study_id)):
            *_, transaction_uid, name = key.split("/")
            if name.partition(".")[2] == study_id:
                yield transaction_uid, key

    async def _find(self, transaction_uid: str) -> tuple[WorkId, AskedCommitment] | None:
        if not _number(transaction_uid):
            return None
        for key in await self._objects.keys(_folder(transaction_uid)):
            work_id, _, study_id = key.rpartition("/")[2].partition(".")
            asked = await read_or_none(self._objects, AskedCommitment, key)
            return None if asked is None else (WorkId(study_id, work_id), asked)
        return None


def new_transaction_uid(study_id: str, at_s: float) -> str:
    """Return a UID that nothing has, of a UUID of version 8.

    Parameters
    ----------
    study_id
        Study that it is about.
    at_s
        Seconds since 1970 that it begins with.

    References
    ----------
    RFC 9562, 5.8; DICOM PS3.5, B.2.
    """
    random = secrets.randbits(76 - _STUDY_BITS) << _STUDY_BITS & ~(0b11 << 62)
    study = int(_study_digits(study_id), 16)
    number = int(at_s * 1000) << _TIME_BITS | _VERSION | _VARIANT | random | study
    return f"{_ROOT}{number}"


def _number(transaction_uid: str) -> int:
    """Return the number of a UID of ours; 0 of any other."""
    root, digits = transaction_uid[: len(_ROOT)], transaction_uid[len(_ROOT) :]
    is_one = root == _ROOT and digits.isdecimal() and len(digits) <= _MOST_DIGITS
    return int(digits) if is_one else 0


def _study_digits(study_id: str) -> str:
    return key_reference(study_id)[:_STUDY_DIGITS]


def _folder(transaction_uid: str) -> str:
    study = _number(transaction_uid) % 2**_STUDY_BITS
    return f"{ASKED}{study:0{_STUDY_DIGITS}x}/{transaction_uid}/"


def commitments_folder(study_id: str) -> str:
    """Return what the keys of a study's requests begin with; another's may lie there, too."""
    return f"{ASKED}{_study_digits(study_id)}/"


def report_key(transaction_uid: str) -> str:
    """Return the key of the report on a request."""
    return f"{REPORTS}{transaction_uid}.json"
