"""Completions on stores in memory."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.results.completion import Completions
from gateway.results.study_documents import StudyDocuments
from gateway.storage.protocol import ObjectStore


def completions_on(
    objects: ObjectStore,
    documents: StudyDocuments | None = None,
    *,
    quiet_s: float = 60.0,
    routes: Collection[str] = (),
    metrics: Metrics | None = None,
) -> Completions:
    """One gateway's completions; of no route unless told."""
    return Completions(
        objects,
        documents or StudyDocuments(objects),
        quiet_s=quiet_s,
        routes=routes,
        metrics=metrics or Metrics(CollectorRegistry()),
        pseudonyms=Pseudonyms("key"),
    )
