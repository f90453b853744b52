"""Storage commitment: of which instances the store has taken custody, on the event loop.

An instance is committed if it is durable: its image lies in the store, read by a model or yet to
be, or parked for an operator. What a sender was never answered success for is not, nor what was
deleted since.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.audit.trail import name_study
from gateway.dimse.commitment_messages import CommitmentFailure, CommitmentReport
from gateway.errors import StudyNotFoundError, UnreadableDocumentError
from gateway.runtime.concurrency import together
from gateway.work.keys import WorkId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.deferred.submissions import Submissions
    from gateway.dimse.commitment_messages import CommitmentRequest, Reference
    from gateway.results.instances import Instances
    from gateway.results.store import ResultStore

# Reads of the store at once for one request.
_AT_ONCE = 8


class StorageCommitment:
    """Says which instances are committed.

    Parameters
    ----------
    instances
        Finds the study of an instance.
    results, submissions
        Studies that are stored, and those that are yet to be processed.
    """

    def __init__(
        self, instances: Instances, results: ResultStore, submissions: Submissions
    ) -> None:
        self._instances = instances
        self._results = results
        self._submissions = submissions

    async def report(self, request: CommitmentRequest) -> CommitmentReport:
        """Return which instances of a request are committed, as it is now.

        Raises
        ------
        StoreUnavailableError
            It cannot be told.
        """
        turns = asyncio.Semaphore(_AT_ONCE)
        looks = await together(self._look(reference, turns) for reference in request.references)
        studies = dict.fromkeys(look for look in looks if isinstance(look, str))
        stored = await together(self._stored(study_id, turns) for study_id in studies)
        uids = dict(zip(studies, stored, strict=True))
        return _report(
            request,
            [
                _found(reference, uids[look]) if isinstance(look, str) else look
                for reference, look in zip(request.references, looks, strict=True)
            ],
        )

    async def _look(
        self, reference: Reference, turns: asyncio.Semaphore
    ) -> str | CommitmentFailure | None:
        """Return None for an instance that is yet to be processed, or the study to look into.

        In this order: what is processed between the two looks is found by the second.
        """
        async with turns:
            try:
                pointer = await self._instances.find(reference.sop_instance_uid)
                if pointer is None:
                    return CommitmentFailure.NO_SUCH_INSTANCE
                if pointer.sop_class_uid != reference.sop_class_uid:
                    return CommitmentFailure.CLASS_INSTANCE_CONFLICT
                name_study(pointer.study_id)
                work = WorkId(pointer.study_id, pointer.submission_id)
                return None if await self._submissions.keeps(work) else pointer.study_id
            except UnreadableDocumentError:
                return CommitmentFailure.PROCESSING_FAILURE

    async def _stored(self, study_id: str, turns: asyncio.Semaphore) -> frozenset[str] | None:
        """Return the SOP Instance UIDs of a study that was processed; None if it is unreadable."""
        async with turns:
            try:
                readings = await self._results.readings(study_id)
            except StudyNotFoundError:
                return frozenset()
            except UnreadableDocumentError:
                return None
        return frozenset(
            reading.sop_instance_uid for reading in readings if reading.sop_instance_uid
        )


def _found(reference: Reference, uids: frozenset[str] | None) -> CommitmentFailure | None:
    if uids is None:
        return CommitmentFailure.PROCESSING_FAILURE
    return None if reference.sop_instance_uid in uids else CommitmentFailure.NO_SUCH_INSTANCE


def _report(
    request: CommitmentRequest, failures: Sequence[CommitmentFailure | None]
) -> CommitmentReport:
    outcomes = list(zip(request.references, failures, strict=True))
    return CommitmentReport(
        request.transaction_uid,
        tuple(reference for reference, failure in outcomes if failure is None),
        tuple((reference, failure) for reference, failure in outcomes if failure is not None),
    )
