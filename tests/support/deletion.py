"""Deletion on stores in memory."""

from typing import Any

from prometheus_client import CollectorRegistry

from gateway.clients.protocols import ObjectStore
from gateway.logs import Pseudonyms
from gateway.metrics import Metrics
from gateway.problems import problem_of
from gateway.services.deletion import Deletion
from gateway.services.inbox import Inbox
from gateway.services.parking import Parking
from gateway.services.study import Route
from gateway.services.waiting import WaitingRoom
from tests.support.store import MemoryStore


def deletion_on(objects: ObjectStore, **changes: Any) -> Deletion:
    """One gateway's deletion."""
    inbox = Inbox(
        MemoryStore(), prefix="images/", route=Route.EVENT, image_bytes=1, metadata_bytes=1
    )
    parts: dict[str, Any] = {
        "roots": ("results/", "pending/", "callbacks/"),
        "parking": Parking(objects, problem_of),
        "waiting": WaitingRoom(objects),
        "inbox": inbox,
        "closed_s": 40.0,
        "metrics": Metrics(CollectorRegistry()),
        "pseudonyms": Pseudonyms("key"),
    }
    return Deletion(objects, **parts | changes)
