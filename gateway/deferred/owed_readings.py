"""Readings that models owe are asked for again, each image by itself through the one use case."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from gateway.results.missing_readings import owed_by
from gateway.studies.process import Received, StudySource, Turn
from gateway.studies.study import Route

if TYPE_CHECKING:
    from gateway.admission.admission import Slot
    from gateway.errors import RadStreamError
    from gateway.results.completion import Completions
    from gateway.results.documents import Reading
    from gateway.results.store import ResultStore
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.problem import Problem
    from gateway.studies.process import StudyProcessor
    from gateway.studies.study import Study
    from gateway.work.documents import OwedReadings
    from gateway.work.keys import WorkId

# Share of the gateway that they take.
_SHARE = "owed readings"


class AskAgain:
    """The job of having images read by the models that owe a reading of them.

    The rules are asked anew: a reading that they ask for no more is owed no more.

    Parameters
    ----------
    studies, results
        The use case, and the images with the readings that were made.
    completions
        Told of studies that are complete with it.
    """

    def __init__(
        self, studies: StudyProcessor, results: ResultStore, completions: Completions
    ) -> None:
        self._studies = studies
        self._results = results
        self._completions = completions

    async def perform(self, work: WorkId, document: OwedReadings, deadline: Deadline) -> None:
        """Process each image again; what was read before is looked up."""
        del document
        record = await self._results.record(work.study_id)
        hashes = {item.sha256 for item in owed_by(record, work)} if record is not None else set()
        errors: list[RadStreamError] = []
        for reading in await self._first_readings(work.study_id, hashes):
            source = StudySource(
                Route(reading.route or Route.REST.value),
                reading.sender or "",
                _SHARE,
                Turn.IN_LINE,
                partial(self._receive, reading),
                check=partial(_of_work, work.id, reading),
                operation="owed readings: read",
                is_new=False,
            )
            answer = await self._studies.process(source, deadline)
            errors += [item.error for item in answer.missed]
            self._completions.tell(answer.record, work.id)
        if errors:
            raise errors[0]

    async def failed(self, work: WorkId, document: OwedReadings, problem: Problem) -> None:
        """Do nothing: the study's document says that it failed."""

    async def ended(self, work: WorkId, document: OwedReadings) -> None:
        """Do nothing: what was to be done is in the study's document."""

    async def _first_readings(self, study_id: str, hashes: set[str]) -> list[Reading]:
        if not hashes:
            return []
        first: dict[str, Reading] = {}
        for reading in await self._results.readings(study_id):
            if reading.sha256 in hashes:
                first.setdefault(reading.sha256, reading)
        return list(first.values())

    async def _receive(self, reading: Reading, slot: Slot) -> Received:
        data = await self._results.image(reading)
        await slot.wait_for_bytes(len(data))
        document = json.dumps(reading.metadata).encode()
        return Received(document, [("image", data)], reading.received_at)


async def _of_work(work: str, reading: Reading, study: Study) -> Study:
    return replace(study, asked_again=work, dropped_as=reading.dropped_as)
