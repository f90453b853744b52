"""Halves that no other half could mend are parked at once."""

import numpy as np
import pytest
from structlog.testing import capture_logs

from gateway.schemas.events import Outcome
from tests.support.dicom import file_of, radiograph
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
        ("a.json", sidecar("S2"), "invalid-metadata"),  # not the folder's study
        ("a.json", b'{"timestamp": "yesterday"}', "invalid-metadata"),
        ("a.json", b'{"view": "UP"}', "invalid-metadata"),
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


@pytest.mark.parametrize("document", [b"{}", b'{"modality": "Roentgen", "note": 1, "view": null}'])
async def test_sidecar_that_lacks_what_a_dicom_file_may_tell_waits_for_one(
    pairing: DropFolderGateway, dropped: MemoryStore, document: bytes
):
    dropped.objects[SIDECAR] = document
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.WAITING
    dropped.objects["images/S1/a.dcm"] = file_of(radiograph())
    assert (await pairing.deliver("images/S1/a.dcm")).outcome is Outcome.PROCESSED


async def test_image_that_waits_is_told_of_as_failed_once_and_not_at_every_sweep(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    dropped.objects["images/S1/a.dcm"] = file_of(radiograph(ViewPosition="", PatientID="A\t1"))
    with capture_logs() as lines:
        assert (await pairing.deliver("images/S1/a.dcm")).outcome is Outcome.WAITING
        for _ in range(3):
            await pairing.sweep()
    assert [line["event"] for line in lines].count("study.failed") == 1
    dropped.objects[SIDECAR] = sidecar("S1", patient_id="A1")
    await pairing.sweep()  # its own event is lost
    assert left_of(objects) == []
    assert [key for key in objects.objects if key.startswith("results/S1/")] != []
