"""Outcomes of deliveries: told to the sender, counted and logged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import name_study
from gateway.schemas.events import Delivery, Outcome
from gateway.schemas.result import study_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.dropfolder.objects import Inbox
    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.schemas.parked import ParkedItem
    from gateway.storage.protocol import Tagged
    from gateway.studies.answer import Answer

log = structlog.get_logger()

# Of the outcomes of one delivery the first of these is told: what an operator must see.
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
class StoredImage:
    """An image whose study is stored.

    Parameters
    ----------
    sha256, tag
        SHA-256 of its bytes, and their tag in the drop folder.
    versions
        Versions under which it may have waited.
    listed
        Records of its pair, listed when its reading was stored.
    answer
        Result of the study for its sender.
    """

    sha256: str
    tag: str
    versions: Sequence[str | None]
    listed: Sequence[str]
    answer: Answer


@dataclass(frozen=True, slots=True)
class Taken:
    """One image that was taken, or a half that has no other, with what became of it.

    Parameters
    ----------
    has_reading
        True of a parked image that the study has a reading of.
    stored
        An image whose study is stored.
    """

    outcome: Outcome
    study_id: str | None = None
    parked: ParkedItem | None = None
    has_reading: bool = False
    stored: StoredImage | None = None

    @classmethod
    def again(cls, study_id: str) -> Taken:
        """Return what became of an object that another delivery has taken meanwhile."""
        name_study(study_id)
        return cls(Outcome.DUPLICATE, study_id)


class Outcomes:
    """The outcomes of deliveries, which it counts and logs.

    Parameters
    ----------
    inbox
        The drop folder.
    """

    def __init__(self, inbox: Inbox, metrics: Metrics, pseudonyms: Pseudonyms) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._pseudonyms = pseudonyms

    def tell(self, subject: str, taken: Sequence[Taken], *, detail: str | None = None) -> Delivery:
        """Return the answer, which is counted and logged; `detail` in place of its usual one."""
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
            detail=detail or _DETAILS[outcome],
            study=study_path(study_id) if study_id else None,
            parked=parked,
        )

    def tell_freshness(self, *halves: Tagged | None) -> None:
        """Count the time since the later half of an image came to lie in the drop folder."""
        times = [half.written_at for half in halves if half is not None]
        known = [time for time in times if time is not None]
        if known and len(known) == len(times):
            self._metrics.studies.tell_freshness(self._inbox.route, max(known))
