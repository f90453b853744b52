"""Deletion on stores in memory."""

from typing import Any

from prometheus_client import CollectorRegistry

from gateway.dropfolder.objects import Inbox
from gateway.dropfolder.parked_objects import ParkedAndWaiting
from gateway.dropfolder.waiting import WaitingHalves
from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.problems import problem_of
from gateway.results.deletion import Deletion
from gateway.storage.protocol import ObjectStore
from gateway.studies.study import Route
from gateway.work.parked import Parking
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore


def deletion_on(objects: ObjectStore, **changes: Any) -> Deletion:
    """One gateway's deletion."""
    inbox = Inbox(
        MemoryStore(), prefix="images/", route=Route.EVENT, image_bytes=1, metadata_bytes=1
    )
    parking = Parking(objects, problem_of)
    gateway = IndexingGateway(objects)
    parts: dict[str, Any] = {
        "entries": gateway.index.removal,
        "footprint": ParkedAndWaiting(parking, WaitingHalves(objects), inbox),
        "closed_s": 40.0,
        "metrics": Metrics(CollectorRegistry()),
        "pseudonyms": Pseudonyms("key"),
    }
    return Deletion(objects, gateway.documents, **parts | changes)
