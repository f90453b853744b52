"""Names of objects in the drop folder, and which of them belong together."""

import unicodedata
from typing import Literal

import pytest

from gateway.schemas.events import Outcome
from tests.support.dicom import file_of, radiograph
from tests.support.models import flat_png
from tests.support.pairing import (
    IMAGE,
    PNG,
    SIDECAR,
    DropFolderGateway,
    Readings,
    left_of,
    put,
    sidecar,
)
from tests.support.store import MemoryStore


@pytest.mark.parametrize(
    "key",
    [
        "images/S1/notes.txt",
        "images/S1/a",
        "images/S1/.a.png",
        "images/.hidden/a.png",
        "images/S1/deeper/a.png",
        "images//a.png",
        "images/S1/",
        "images/S1/a.json.part",
        "other/S1/a.png",
    ],
)
async def test_what_is_no_image_and_no_sidecar_is_ignored(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, key: str
):
    dropped.objects[key] = b"?"
    assert (await pairing.deliver(key)).outcome is Outcome.IGNORED
    assert objects.calls == []


@pytest.mark.parametrize("name", ["IM000001", "1.2.840.113619.2.55.3", "CR.7", "a.dicom", "a.DCM"])
async def test_dicom_is_known_by_its_bytes_where_its_name_does_not_tell(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, name: str
):
    key = f"images/S1/{name}"
    dropped.objects[key] = file_of(radiograph())
    answer = await pairing.deliver(key)
    assert (answer.outcome, answer.study) == (Outcome.PROCESSED, "/v1/studies/S1")
    assert left_of(objects) == []


@pytest.mark.parametrize(
    ("name", "sidecar_name"),
    [("IM000001", "IM000001.json"), ("1.2.3", "1.2.3.JSON"), ("a.dicom", "a.json")],
)
async def test_unnamed_dicom_has_a_sidecar_of_its_whole_name(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    name: str,
    sidecar_name: str,
):
    dropped.objects[f"images/{sidecar_name}"] = sidecar("S4")
    answer = await pairing.deliver(f"images/{sidecar_name}")
    assert answer.outcome is Outcome.WAITING
    dropped.objects[f"images/{name}"] = file_of(radiograph())
    for key in (f"images/{sidecar_name}", f"images/{name}"):
        answer = await pairing.deliver(key)
        assert (answer.outcome in {Outcome.PROCESSED, Outcome.DUPLICATE}, answer.study) == (
            True,
            "/v1/studies/S4",
        )
    assert left_of(objects) == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("README", b"Send files here."),
        ("movie", bytes(200_000)),  # longer than an image may be: it is not read
        ("empty", b""),
        ("app.log.1", PNG),
        ("DICOMDIR", file_of(radiograph())),
        ("IM1.part", file_of(radiograph())),
        (".IM1", file_of(radiograph())),
        ("IM1.", file_of(radiograph())),
    ],
)
async def test_other_files_without_an_ending_are_left_alone(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, name: str, data: bytes
):
    dropped.objects[f"images/S1/{name}"] = data
    assert (await pairing.deliver(f"images/S1/{name}")).outcome is Outcome.IGNORED
    assert objects.calls == []
    # Beside a sidecar of its name it is no image, either.
    dropped.objects[f"images/S1/{name}.json"] = sidecar("S1")
    assert (await pairing.deliver(f"images/S1/{name}.json")).outcome in {
        Outcome.WAITING,
        Outcome.IGNORED,
    }


@pytest.mark.parametrize("ending", ["jfif", "JPE", "tif"])
async def test_bytes_decide_on_a_picture_of_any_pictures_ending(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, ending: str
):
    dropped.objects |= {f"images/S1/a.{ending}": PNG, SIDECAR: sidecar("S1")}
    assert (await pairing.deliver(f"images/S1/a.{ending}")).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


@pytest.mark.parametrize("ending", ["ima", "IMA", "dic", "dc3"])
async def test_dicom_has_the_endings_that_exports_give_it(
    pairing: DropFolderGateway, dropped: MemoryStore, ending: str
):
    dropped.objects[f"images/S1/a.{ending}"] = file_of(radiograph())
    assert (await pairing.deliver(f"images/S1/a.{ending}")).outcome is Outcome.PROCESSED


@pytest.mark.parametrize("ending", ["JSON", "Json", "jSoN"])
@pytest.mark.parametrize("is_image_first", [True, False])
async def test_sidecars_ending_may_be_in_any_case(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    *,
    ending: str,
    is_image_first: bool,
):
    files = {IMAGE: PNG, f"images/S1/a.{ending}": sidecar("S1")}
    first, second = sorted(files, reverse=is_image_first)
    dropped.objects[first] = files[first]
    assert (await pairing.deliver(first)).outcome is Outcome.WAITING
    dropped.objects[second] = files[second]
    assert (await pairing.deliver(second)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


@pytest.mark.parametrize("is_image_first", [True, False])
@pytest.mark.parametrize(("image_form", "sidecar_form"), [("NFC", "NFD"), ("NFD", "NFC")])
async def test_composed_and_decomposed_names_are_one_name(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    *,
    is_image_first: bool,
    image_form: Literal["NFC", "NFD"],
    sidecar_form: Literal["NFC", "NFD"],
):
    image = unicodedata.normalize(image_form, "images/Müller.png")
    document = unicodedata.normalize(sidecar_form, "images/Müller.json")
    files = {image: PNG, document: sidecar("S1")}
    first, second = (image, document) if is_image_first else (document, image)
    dropped.objects[first] = files[first]
    assert (await pairing.deliver(first)).outcome is Outcome.WAITING
    dropped.objects[second] = files[second]
    assert (await pairing.deliver(second)).outcome is Outcome.PROCESSED
    assert (await pairing.deliver(first)).outcome is Outcome.DUPLICATE
    assert left_of(objects) == []


async def test_sidecar_serves_every_image_of_its_name(
    pairing: DropFolderGateway, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG, a_jpeg=flat_png(1), b_png=flat_png(2), a_b_png=flat_png(3))
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    assert readings.inferences.total() == 2
