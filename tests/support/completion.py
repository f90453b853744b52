"""Completions on stores in memory."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.problems import problem_of
from gateway.results.completion import Completions
from gateway.results.documents import StudyRecord
from gateway.results.held_studies import HeldStudies
from gateway.results.study_documents import StudyDocuments
from gateway.storage.protocol import ObjectStore
from gateway.work.parked import Parking


class Promised:
    """An outbox that notes the studies whose results it is to bring, in order."""

    def __init__(self) -> None:
        self.studies: list[str] = []

    def note(self, study_id: str) -> None:
        """Note a study."""
        self.studies.append(study_id)

    async def promise(self, record: StudyRecord) -> None:
        """Note a study whose results are to be delivered."""
        completion = record.completion
        if completion is not None and not completion.held and not completion.delivered:
            self.studies.append(record.study_id)


def completions_on(
    objects: ObjectStore,
    documents: StudyDocuments | None = None,
    *,
    quiet_s: float = 60.0,
    routes: Collection[str] = (),
    metrics: Metrics | None = None,
) -> Completions:
    """One gateway's completions; of no route unless told."""
    documents = documents or StudyDocuments(objects)
    return Completions(
        objects,
        documents,
        quiet_s=quiet_s,
        routes=routes,
        held=HeldStudies(documents, Parking(objects, problem_of)),
        metrics=metrics or Metrics(CollectorRegistry()),
        pseudonyms=Pseudonyms("key"),
    )
