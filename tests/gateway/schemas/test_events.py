"""S3's events, as EventBridge brings them."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import InvalidEventError
from gateway.schemas.events import OBJECT_CREATED, parse_event

EVENT = Path(__file__).parents[2] / "data/events/image.json"


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(EVENT.read_bytes()) | changes).encode()


def test_an_event_is_read_as_aws_sends_it():
    event = parse_event(EVENT.read_bytes())
    assert event.detail_type == OBJECT_CREATED
    assert event.detail.bucket.name == "radstream-dev-images"
    dropped = event.detail.object
    assert (dropped.key, dropped.size) == ("images/S-1001/study.jpg", 1403281)
    assert dropped.version_id == "8307a9863c27a685203175ad27107083"


def test_a_key_is_taken_as_it_is():
    detail = {"bucket": {"name": "images"}, "object": {"key": "a+b %2F.png"}}
    assert parse_event(changed(detail=detail)).detail.object.key == "a+b %2F.png"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b"{", {""}),
        (b"[]", {""}),
        (changed(source="aws.ec2", id=None), {"/source", "/id"}),
        (changed(time="2026-01-31T08:15:00"), {"/time"}),
        (changed(detail={"bucket": {"name": "images"}, "object": {}}), {"/detail/object/key"}),
    ],
)
def test_every_fault_is_told_with_its_pointer(body: bytes, pointers: set[str]):
    with pytest.raises(InvalidEventError) as caught:
        parse_event(body)
    assert {fault.pointer for fault in caught.value.faults} == pointers
