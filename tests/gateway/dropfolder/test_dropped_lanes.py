"""Lanes of dropped files follow from their sidecars and folders, before an image is read."""

from typing import Any

import pytest

from gateway.dropfolder.dropped_lanes import DroppedLanes, Place
from gateway.routing.in_force import Routing
from gateway.schemas.routing import RoutingDocument
from gateway.schemas.routing_rules import Lane
from tests.support.models import flat_png
from tests.support.pairing import DropFolderGateway, sidecar
from tests.support.store import MemoryStore

SENDERS = [{"name": "er", "prefix": "ER-"}]


def rule(lane: str, **when: Any) -> dict[str, Any]:
    return {"name": lane, "when": when, "lane": lane}


RULES = [
    rule(
        "stat",
        any=[{"field": "sender", "equals": "er"}, {"field": "metadata.urgent", "in": ["yes"]}],
    ),
    rule("research", field="metadata.study_id", glob="trial-*"),
]


def lanes(pairing: DropFolderGateway, **parts: Any) -> DroppedLanes:
    document = {"schema": "radstream.routing/1", "senders": SENDERS, "otherwise": {}} | parts
    return DroppedLanes(pairing.folder.inbox, Routing(RoutingDocument.model_validate(document)))


@pytest.mark.parametrize(
    ("key", "document", "place"),
    [
        ("ER-1/a.png", None, Place(Lane.STAT, "er")),
        ("S1/a.png", sidecar("S1"), Place(Lane.ROUTINE, "dropfolder")),
        ("S1/a.png", sidecar("S1", urgent="yes"), Place(Lane.STAT, "dropfolder")),
        ("trial-1/a.png", b"no document", Place(Lane.RESEARCH, "dropfolder")),
        ("a.png", sidecar("trial-2"), Place(Lane.RESEARCH, "dropfolder")),
    ],
    ids=["sender", "routine", "sidecar", "folder", "study"],
)
async def test_the_lane_is_that_of_the_rules(
    pairing: DropFolderGateway,
    dropped: MemoryStore,
    key: str,
    document: bytes | None,
    place: Place,
):
    dropped.objects[f"images/{key}"] = flat_png(1)
    if document is not None:
        dropped.objects[f"images/{key.replace('.png', '.json')}"] = document
    found = pairing.folder.inbox.find(f"images/{key}")
    assert found is not None
    assert await lanes(pairing, rules=RULES).place(found) == place


async def test_no_file_is_read_where_no_rule_has_a_lane(
    pairing: DropFolderGateway, dropped: MemoryStore
):
    dropped.objects["images/a.json"] = sidecar("S1")
    found = pairing.folder.inbox.find("images/a.json")
    assert found is not None
    assert await lanes(pairing).place(found) == Place(Lane.ROUTINE, "dropfolder")
    assert dropped.calls == []
