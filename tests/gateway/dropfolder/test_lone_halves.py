"""Halves that no other half could mend are parked at once."""

import numpy as np
import pytest

from gateway.schemas.events import Outcome
from tests.support.models import png
from tests.support.pairing import (
    PNG,
    SIDECAR,
    DropFolderGateway,
    left_of,
    problem,
    sidecar,
)
from tests.support.store import MemoryStore


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.png", PNG[:-20], "unreadable-image"),  # of which only decoding tells
        ("a.png", PNG[:30], "unreadable-image"),
        ("a.jpg", b"no image at all", "unsupported-image"),
        ("a.jpeg", b"GIF89a" + bytes(100), "unsupported-image"),
        ("a.png", b"", "unsupported-image"),
        ("a.png", b" " * 10_001, "object-too-large"),
        ("a.dcm", b"no DICOM at all", "unsupported-image"),
        ("a.png", png(np.full((32, 32), 7, np.uint8)), "no-contrast"),
        ("a.json", b"{", "invalid-metadata"),
        ("a.json", b"[1]", "invalid-metadata"),
        ("a.json", b"", "invalid-metadata"),
        ("a.jxl", b"\xff\x0a" + bytes(100), "unsupported-image"),
        ("a.TIF", b"II*\0" + bytes(100), "unsupported-image"),
        ("a.bmp", b"", "unsupported-image"),
        ("a.IMA", b"no DICOM at all", "unsupported-image"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
async def test_half_that_no_other_half_can_mend_is_parked_at_once_with_its_problem(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    *,
    name: str,
    data: bytes,
    kind: str,
):
    key = f"images/S1/{name}"
    dropped.objects[key] = data
    answer = await pairing.deliver(key)
    assert (answer.outcome, problem(answer)) == (Outcome.PARKED, kind)
    assert (answer.parked[0].key, answer.parked[0].study_id) == (key, "S1")
    assert left_of(objects) == [f"parked/{answer.parked[0].id}.json"]
    dropped.objects |= {key: PNG, "images/S1/a.png": PNG, "images/S1/a.json": sidecar("S1")}
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


@pytest.mark.parametrize("name", ["a.png", "a.dcm"])  # whose bytes decide what it is
async def test_good_image_that_needs_a_sidecar_waits_for_it(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, name: str
):
    dropped.objects[f"images/S1/{name}"] = PNG
    assert (await pairing.deliver(f"images/S1/{name}")).outcome is Outcome.WAITING
    assert left_of(objects, "parked/") == []
