"""Studies that ended incomplete, and whose results rules hold back until an operator decides.

The study's document says that they are held, from the swap that completes it. Its parked item,
``results/{study_id}/completion/held``, is written before the completion's entry goes, so that no
study is held without one. A late image opens the completion again: what it ends with counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.errors import StudyIncompleteError
from gateway.schemas.events import Delivery, Outcome
from gateway.schemas.result import study_path
from gateway.storage.layout import COMPLETION
from gateway.work.keys import WorkId, of_parked, parked_key

if TYPE_CHECKING:
    from gateway.results.documents import Completion, StudyRecord
    from gateway.results.study_documents import StudyDocuments
    from gateway.schemas.parked import ParkedItem
    from gateway.work.parked import Parking

_HELD = "held"


class Promises(Protocol):
    """Promises of what is brought to destinations, made once a study is complete."""

    def note(self, study_id: str) -> None:
        """Promise what the study brings, soon; where that fails, its entry tells again."""
        ...

    async def promise(self, record: StudyRecord) -> None:
        """Promise what a complete study brings, unless that was done, or it is held back."""
        ...


class HeldStudies:
    """Held studies of one store, as an operator has them before them.

    Parameters
    ----------
    documents, parking
        The studies, and their parked items.
    """

    def __init__(self, documents: StudyDocuments, parking: Parking) -> None:
        self._documents = documents
        self._parking = parking
        self._promises: Promises | None = None

    def follow(self, promises: Promises) -> None:
        """Have the results of studies that are let go promised from now on."""
        self._promises = promises

    async def settle(self, record: StudyRecord) -> None:
        """Park a complete study that is held; clear the item of one that was held before."""
        completion = record.completion
        if completion is None:
            return
        if completion.held:
            await self._parking.park_work(
                held_key(record.study_id), StudyIncompleteError(_told(completion))
            )
        elif completion.reopened:
            await self._parking.clear_work(held_key(record.study_id))

    def owns(self, item: ParkedItem) -> bool:
        """Return True if the item is of a held study."""
        return item.half is None and of_parked(COMPLETION, item.key) is not None

    def study_of(self, item: ParkedItem) -> str | None:
        """Return the study."""
        work = of_parked(COMPLETION, item.key)
        return None if work is None else work.study_id

    async def retry(self, item: ParkedItem) -> Delivery:
        """Have what there is of the study delivered."""
        study_id = self.study_of(item) or ""
        record = await self._let_go(study_id, delivers=True)
        if self._promises is not None:
            await self._promises.promise(record)
        await self._parking.discard(item.id)
        return Delivery(
            outcome=Outcome.PENDING, detail="It is delivered as it is.", study=study_path(study_id)
        )

    async def discard(self, item: ParkedItem) -> None:
        """Have nothing of the study delivered, unless a late image opens it again."""
        await self._let_go(self.study_of(item) or "", delivers=False)

    async def _let_go(self, study_id: str, *, delivers: bool) -> StudyRecord:
        def change(record: StudyRecord) -> StudyRecord:
            completion = record.completion
            if completion is None or not completion.held:
                return record
            news = {"held": False, "delivered": not delivers}
            return record.changed(completion=completion.model_copy(update=news))

        return await self._documents.change_known(study_id, change)


def held_key(study_id: str) -> str:
    """Return the key that the parked item of a held study has."""
    return parked_key(COMPLETION, WorkId(study_id, _HELD))


def _told(completion: Completion) -> tuple[str, ...]:
    """Return what is missing, in words."""
    count = completion.missing_instances
    instances = [f"{count} of {completion.expected} instances"] if count else []
    return (*instances, *(f"view {view}" for view in completion.missing_views))
