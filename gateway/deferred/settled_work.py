"""The pipeline, after which parked work goes that it made needless.

The study's document is without that work by then. Should the gateway die before the rest goes, the
operator who retries or discards the parked item ends it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from gateway.errors import StoreError
from gateway.work.keys import parked_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.results.settled_work import SettledWork
    from gateway.runtime.deadline import Deadline
    from gateway.studies.answer import Answer
    from gateway.studies.process import StudyPipeline
    from gateway.studies.study import Study
    from gateway.work.entries import Entries
    from gateway.work.parked import Parking

log = structlog.get_logger()


class SettlingPipeline:
    """The pipeline of studies, after which settled work goes.

    Parameters
    ----------
    pipeline
        The pipeline itself.
    parking, entries
        Parked items, and the kinds of work that a study can settle.
    """

    def __init__(
        self, pipeline: StudyPipeline, parking: Parking, entries: Sequence[Entries[Any]]
    ) -> None:
        self._pipeline = pipeline
        self._parking = parking
        self._entries = {each.kind: each for each in entries}

    async def process(self, study: Study, deadline: Deadline, *, awaited: bool = False) -> Answer:
        """See `StudyPipeline.process`."""
        answer = await self._pipeline.process(study, deadline, awaited=awaited)
        for settled in answer.settled:
            with suppress(StoreError):  # the study is stored all the same
                await self._clear(settled)
        return answer

    async def _clear(self, settled: SettledWork) -> None:
        await self._entries[settled.kind].forget_failed(settled.work)
        await self._parking.clear_work(parked_key(settled.kind, settled.work))
        log.info("backlog.settled", kind=settled.kind)
