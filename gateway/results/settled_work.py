"""Parked work of a study that a request of it made needless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.results.view import is_awaited
from gateway.storage.layout import READINGS, SUBMISSIONS
from gateway.work.keys import WorkId

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.results.documents import StudyRecord


@dataclass(frozen=True, slots=True)
class SettledWork:
    """Work that failed for good, and is done by now.

    Parameters
    ----------
    kind
        The folder of its entries.
    """

    kind: str
    work: WorkId


@dataclass(slots=True)
class Settling:
    """A change of a study's record that notes what parked work it settles.

    Attributes
    ----------
    settled
        Work that it settled the last time.
    """

    change: Callable[[StudyRecord | None], StudyRecord]
    settled: tuple[SettledWork, ...] = ()

    def __call__(self, record: StudyRecord | None) -> StudyRecord:
        """Return the changed record.

        An operator may have had the work tried again before a swap that came too late.
        """
        after = self.change(record)
        if record is not None and after is not record:
            self.settled = tuple(
                SettledWork(kind, WorkId(record.study_id, work))
                for kind, of in ((SUBMISSIONS, _failed), (READINGS, _unread))
                for work in sorted(of(record) - of(after))
            )
        waiting = {item.id for item in after.pending}
        waiting |= {item.work for item in after.missing_readings if is_awaited(item) and item.work}
        self.settled = tuple(each for each in self.settled if each.work.id not in waiting)
        return after


def _failed(record: StudyRecord) -> set[str]:
    return {item.id for item in record.failed}


def _unread(record: StudyRecord) -> set[str]:
    return {item.work for item in record.missing_readings if item.failed and item.work}
