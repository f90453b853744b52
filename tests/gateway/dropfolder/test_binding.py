"""Images are held to the study of their folder, of their sidecar, or of before."""

import unicodedata
from typing import Literal

import pytest

from gateway.schemas.events import Outcome
from tests.support.dicom import file_of, radiograph
from tests.support.pairing import (
    IMAGE,
    PNG,
    SIDECAR,
    DropFolderGateway,
    Readings,
    left_of,
    problem,
    put,
    sidecar,
)
from tests.support.store import MemoryStore


async def test_pair_outside_of_a_folder_makes_a_study(
    pairing: DropFolderGateway, dropped: MemoryStore
):
    dropped.objects |= {"images/x.PNG": PNG, "images/x.json": sidecar("S2")}
    answer = await pairing.deliver("images/x.PNG")
    assert (answer.outcome, answer.study) == (Outcome.PROCESSED, "/v1/studies/S2")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("name", "data"), [("a.png", PNG), ("a.json", sidecar("S1")), ("IM1", file_of(radiograph()))]
)
async def test_folder_that_can_be_of_no_study_is_told_at_once_in_a_sentence(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    *,
    form: Literal["NFC", "NFD"],
    name: str,
    data: bytes,
):
    key = unicodedata.normalize(form, f"images/Röntgen/{name}")
    dropped.objects[key] = data
    answer = await pairing.deliver(key)
    assert (answer.outcome, problem(answer)) == (Outcome.PARKED, "invalid-metadata")
    [fault] = answer.parked[0].problem.errors or ()
    assert fault.pointer == "/study_id"
    assert "without accents" in fault.detail
    assert left_of(objects) == [f"parked/{answer.parked[0].id}.json"]


async def test_dicom_needs_no_sidecar_and_belongs_to_its_folder(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    dropped.objects["images/S1/a.dcm"] = file_of(radiograph())
    answer = await pairing.deliver("images/S1/a.dcm")
    assert (answer.outcome, answer.study) == (Outcome.PROCESSED, "/v1/studies/S1")
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.DUPLICATE
    assert left_of(objects) == []


async def test_sidecar_of_another_study_than_its_folder_is_parked(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG, a_json=sidecar("S9"))
    answer = await pairing.deliver(IMAGE)
    assert (answer.outcome, problem(answer)) == (Outcome.PARKED, "invalid-metadata")
    assert answer.parked[0].problem.errors
    assert answer.parked[0].problem.errors[0].pointer == "/study_id"
    assert readings.inferences.total() == 0
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


async def test_image_is_not_read_for_a_second_study_that_a_later_sidecar_names(
    pairing: DropFolderGateway, dropped: MemoryStore, readings: Readings
):
    dropped.objects |= {"images/x.png": PNG, "images/x.json": sidecar("S1")}
    await pairing.deliver("images/x.png")
    dropped.objects["images/x.json"] = sidecar("S2")
    answer = await pairing.deliver("images/x.json")
    assert (answer.outcome, problem(answer)) == (Outcome.PARKED, "study-conflict")
    assert readings.inferences.total() == 1
