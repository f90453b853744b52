"""Outcomes of deliveries: told to whoever brought them, counted and logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.errors import RadStreamError
from gateway.schemas.events import Delivery, Outcome
from gateway.schemas.result import study_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.schemas.parked import ParkedItem
    from gateway.studies.pipeline import Answer

log = structlog.get_logger()

# Of the outcomes of one delivery the one that is told: what needs somebody's eye first.
_GRAVEST = (
    Outcome.PARKED,
    Outcome.PROCESSED,
    Outcome.DUPLICATE,
    Outcome.WAITING,
    Outcome.IGNORED,
)
_DETAILS = {
    Outcome.PARKED: "It failed for good and is parked until an operator retries or discards it.",
    Outcome.PROCESSED: "The study's result is stored.",
    Outcome.DUPLICATE: "The same bytes had been read before; the stored result stands.",
    Outcome.WAITING: "It waits for its other half.",
    Outcome.IGNORED: "It is no image or sidecar of the drop folder, is gone, or its study was "
    "deleted.",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """One image that was taken, or a half that has no other, with what became of it.

    Parameters
    ----------
    stored
        SHA-256 of an image whose study is stored, and what its sender is told.
    """

    outcome: Outcome
    study_id: str | None = None
    parked: ParkedItem | None = None
    stored: tuple[str, Answer] | None = None


class Outcomes:
    """Tells what became of deliveries.

    Parameters
    ----------
    inbox
        Where they come from.
    """

    def __init__(self, inbox: Inbox, metrics: Metrics, pseudonyms: Pseudonyms) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._pseudonyms = pseudonyms

    def tell(self, subject: str, taken: Sequence[Taken]) -> Delivery:
        """Return the answer, which is counted and logged."""
        outcome = min((item.outcome for item in taken), key=_GRAVEST.index)
        parked = tuple(item.parked for item in taken if item.parked is not None)
        study_id = next((item.study_id for item in taken if item.study_id is not None), None)
        self._metrics.dropfolder.deliveries.labels(self._inbox.route, outcome).inc()
        tell = log.warning if parked else log.info
        tell(
            "dropfolder.delivered",
            object_ref=self._pseudonyms.study_ref(subject),
            study_ref=self._pseudonyms.study_ref(study_id) if study_id else None,
            outcome=outcome,
            problems=[item.problem.type for item in parked] or None,
        )
        return Delivery(
            outcome=outcome,
            detail=_DETAILS[outcome],
            study=study_path(study_id) if study_id else None,
            parked=parked,
        )

    async def tell_freshness(
        self, image: Dropped, version_id: str | None, *, has_sidecar: bool
    ) -> None:
        """Count how long ago the later half of an image came to lie in the drop folder."""
        try:
            since = await self._inbox.complete_since(image, version_id, has_sidecar=has_sidecar)
        except RadStreamError:  # taken away meanwhile, or a store that has just answered
            return
        self._metrics.studies.tell_freshness(self._inbox.route, since)
