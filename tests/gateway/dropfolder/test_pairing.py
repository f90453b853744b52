"""The invariants of `gateway.dropfolder.pairing`, under many orders of its steps."""

import asyncio
import datetime as dt
import hashlib
import random
import unicodedata
from collections.abc import Awaitable, Callable
from typing import Literal

import numpy as np
import pytest

from gateway.dropfolder.documents import WaitingHalf
from gateway.errors import (
    DeliveryUnfinishedError,
    Fault,
    InferenceFailedError,
    InferenceOverloadedError,
    InvalidMetadataError,
    ObjectNotReadableError,
    ParkedItemNotFoundError,
    RadStreamError,
    StoreUnavailableError,
    StudyConflictError,
)
from gateway.problems import problem_of
from gateway.runtime.deadline import Deadline
from gateway.schemas.events import Delivery, Outcome
from gateway.storage.protocol import Reserve
from gateway.work.parked import ParkedCount, Parking
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import until
from tests.support.models import flat_png, png
from tests.support.pairing import (
    DropFolderGateway,
    Readings,
    StoringPipeline,
    gateway_on,
    no_turn,
    results_on,
    sidecar,
)
from tests.support.store import MemoryStore, MortalStore

IMAGE, SIDECAR = "images/S1/a.png", "images/S1/a.json"
PNG = flat_png(200)


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore(no_turn)


@pytest.fixture
def dropped() -> MemoryStore:
    return MemoryStore(no_turn)


@pytest.fixture
def readings() -> Readings:
    return Readings()


@pytest.fixture
def pairing(objects: MemoryStore, dropped: MemoryStore, readings: Readings) -> DropFolderGateway:
    return gateway_on(objects, dropped, readings)


def put(dropped: MemoryStore, **files: bytes) -> None:
    """`a_png=` is put as images/S1/a.png."""
    for name, data in files.items():
        dropped.objects[f"images/S1/{name.replace('_', '.')}"] = data


def left_of(objects: MemoryStore, *prefixes: str) -> list[str]:
    """Keys of waiting halves and parked items, of which each has its mark beside the halves."""
    marks = [key for key in objects.objects if key.endswith("-parked.json")]
    if not prefixes:
        ids = [f"{pair[:16]}{name[:16]}" for *_, pair, name in (key.split("/") for key in marks)]
        parked = [key for key in objects.objects if key.startswith("parked/")]
        assert sorted(f"parked/{parked_id}.json" for parked_id in ids) == sorted(parked)
    state = prefixes or ("pairing/waiting/", "parked/")
    return [key for key in objects.objects if key.startswith(state) and key not in marks]


def problem(delivery: Delivery) -> str:
    [item] = delivery.parked
    return item.problem.type.removeprefix("urn:radstream:problem:")


# --- what meets what -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(IMAGE, SIDECAR), (SIDECAR, IMAGE)], ids=["image", "sidecar"])
async def test_first_half_waits_and_the_second_completes_the_study(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    readings: Readings,
    order: tuple[str, str],
):
    files = {IMAGE: PNG, SIDECAR: sidecar("S1")}
    first, second = order
    dropped.objects[first] = files[first]
    assert (await pairing.deliver(first)).outcome is Outcome.WAITING
    dropped.objects[second] = files[second]
    answer = await pairing.deliver(second)
    assert (answer.outcome, answer.study) == (Outcome.PROCESSED, "/v1/studies/S1")
    assert (await pairing.deliver(first)).outcome is Outcome.DUPLICATE
    assert readings.inferences.total() == 1
    assert left_of(objects) == []


async def test_same_bytes_under_the_same_key_are_a_duplicate_and_others_another_image(
    pairing: DropFolderGateway, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    await pairing.deliver(IMAGE)
    put(dropped, a_png=PNG)
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.DUPLICATE
    put(dropped, a_png=flat_png(100))
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.PROCESSED
    assert list(readings.inferences.values()) == [1, 1]


async def test_sidecar_serves_every_image_of_its_name(
    pairing: DropFolderGateway, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG, a_jpeg=flat_png(1), b_png=flat_png(2), a_b_png=flat_png(3))
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    assert readings.inferences.total() == 2


async def test_pair_outside_of_a_folder_makes_a_study(
    pairing: DropFolderGateway, dropped: MemoryStore
):
    dropped.objects |= {"images/x.PNG": PNG, "images/x.json": sidecar("S2")}
    answer = await pairing.deliver("images/x.PNG")
    assert (answer.outcome, answer.study) == (Outcome.PROCESSED, "/v1/studies/S2")


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


async def test_object_that_was_taken_away_is_ignored(
    pairing: DropFolderGateway, dropped: MemoryStore
):
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.IGNORED
    assert (await pairing.deliver("images/S1/b.json")).outcome is Outcome.IGNORED


async def test_dicom_needs_no_sidecar_and_belongs_to_its_folder(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    dropped.objects["images/S1/a.dcm"] = file_of(radiograph())
    answer = await pairing.deliver("images/S1/a.dcm")
    assert (answer.outcome, answer.study) == (Outcome.PROCESSED, "/v1/studies/S1")
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.DUPLICATE
    assert left_of(objects) == []


async def test_dicom_that_lacks_its_view_waits_for_a_sidecar(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    # As the choice of a model raises it, where each model was made for some views.
    readings.errors = [InvalidMetadataError((Fault("/view", "is required"),))] * 2  # it looks twice
    dropped.objects["images/S1/a.dcm"] = file_of(radiograph(ViewPosition=None))
    assert (await pairing.deliver("images/S1/a.dcm")).outcome is Outcome.WAITING
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


# --- what fails for good -------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"a_json": b"{"}, "invalid-metadata"),
        ({"a_json": b" " * 1001}, "object-too-large"),
        ({"a_png": b" " * 10_001}, "object-too-large"),
        ({"a_dcm": b"\0" * 128 + b"DICM" + b"\xff" * 100}, "unreadable-image"),
    ],
    ids=["document", "long document", "long image", "DICOM"],
)
async def test_what_cannot_be_read_is_parked_with_its_problem(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    files: dict[str, bytes],
    kind: str,
):
    put(dropped, **{"a_json": sidecar("S1"), "a_png": PNG} | files)
    key = next(key for key in dropped.objects if key.endswith(("dcm", "png")))
    key = "images/S1/a.dcm" if "a_dcm" in files else key
    answer = await pairing.deliver(key)
    assert (answer.outcome, problem(answer)) == (Outcome.PARKED, kind)
    [parked] = left_of(objects)
    assert parked == f"parked/{answer.parked[0].id}.json"
    assert PNG not in objects.objects.values()


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


@pytest.mark.parametrize("order", [(IMAGE, SIDECAR), (SIDECAR, IMAGE)], ids=["image", "sidecar"])
@pytest.mark.parametrize(
    ("document", "kind"),
    [(b" " * 1001, "object-too-large"), (b"{", "invalid-metadata")],
    ids=["too long", "no JSON"],
)
async def test_pair_of_a_sidecar_that_cannot_be_read_is_parked_once(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    *,
    order: tuple[str, str],
    document: bytes,
    kind: str,
):
    files = {IMAGE: PNG, SIDECAR: document}
    for key in order:
        dropped.objects[key] = files[key]
        answer = await pairing.deliver(key)
    assert (answer.outcome, problem(answer)) == (Outcome.PARKED, kind)
    [item] = await Parking(objects, problem_of).items(after="", limit=9)
    assert left_of(objects) == [f"parked/{item.id}.json"]
    put(dropped, a_json=sidecar("S1"))
    retried = await pairing.retry(item.id)
    assert (retried.outcome, retried.study) == (Outcome.PROCESSED, "/v1/studies/S1")
    assert left_of(objects) == []


async def test_object_that_fails_again_in_the_same_way_is_parked_since_the_first_time(
    pairing: DropFolderGateway, dropped: MemoryStore
):
    put(dropped, a_png=PNG[:-20])
    [first] = (await pairing.deliver(IMAGE)).parked
    [again] = (await pairing.deliver(IMAGE)).parked
    assert again == first
    put(dropped, a_png=b"no image at all")
    [other] = (await pairing.deliver(IMAGE)).parked
    assert (other.id, other.problem.status) == (first.id, 415)
    assert other.parked_at > first.parked_at


async def test_image_parked_for_a_conflict_tells_its_study_and_is_retried_once_mended(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    dropped.objects |= {"images/x.png": PNG, "images/x.json": sidecar("S1", patient_id="MUELLER")}
    readings.errors = [StudyConflictError((Fault("/patient_id", "differs"),)) for _ in range(2)]
    [item] = (await pairing.deliver("images/x.png")).parked
    assert item.study_id == "S1"
    assert [fault.pointer for fault in item.problem.errors or ()] == ["/patient_id"]
    assert "MUELLER" not in item.model_dump_json()
    assert (await pairing.retry(item.id)).outcome is Outcome.PARKED
    dropped.objects["images/x.json"] = sidecar("S1")
    assert (await pairing.retry(item.id)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


async def test_parked_item_is_retried_and_discarded(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    readings.errors = [InferenceFailedError("m", "") for _ in range(2)]
    [item] = (await pairing.deliver(IMAGE)).parked
    assert item.problem.instance == f"urn:radstream:parked:{item.id}"
    assert (await pairing.retry(item.id)).outcome is Outcome.PARKED
    assert (await pairing.retry(item.id)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []
    with pytest.raises(ParkedItemNotFoundError):
        await pairing.retry(item.id)


# --- what may be repeated ------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StoreUnavailableError(""), InferenceOverloadedError("m")])
async def test_transient_trouble_is_raised_and_the_next_delivery_need_not_wait(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    readings: Readings,
    error: RadStreamError,
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    readings.errors = [error]
    with pytest.raises(type(error)):
        await pairing.deliver(IMAGE)
    assert left_of(objects) == []
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.PROCESSED


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_delivery_beside_one_that_never_ends_is_not_said_to_be_done(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    slow = gateway_on(objects, dropped, readings, turn=for_ever)
    reading = asyncio.create_task(slow.deliver(IMAGE))
    await until(lambda: readings.inferences.total() == 1)
    with pytest.raises(DeliveryUnfinishedError):
        await slow.deliver(SIDECAR, deadline=Deadline.after(0))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert readings.inferences.total() == 1
    other = gateway_on(objects, dropped, readings)
    assert (await other.deliver(SIDECAR)).outcome is Outcome.PROCESSED


async def test_study_ends_by_its_own_deadline_before_its_delivery_is_stopped(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    """Cut off from outside, telemetry would take it for one whose caller had gone."""
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    slow = gateway_on(objects, dropped, readings, turn=for_ever)
    with pytest.raises(DeliveryUnfinishedError, match="stage study"):
        await slow.deliver(IMAGE, deadline=Deadline.after(1.0))
    assert readings.inferences.total() == 1


# --- deadlines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "missing"), [(IMAGE, "sidecar"), (SIDECAR, "image")])
async def test_half_that_waited_too_long_is_parked_and_still_taken_up(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings, key: str, missing: str
):
    pairing = gateway_on(objects, dropped, readings, waiting_deadline_s=0)
    files = {IMAGE: PNG, SIDECAR: sidecar("S1")}
    dropped.objects[key] = files.pop(key)
    await pairing.deliver(key)
    await pairing.sweep()
    [item] = await Parking(objects, problem_of).items(after="", limit=9)
    assert (item.key, item.problem.status) == (key, 422)
    assert f"No {missing} came" in item.problem.detail
    assert left_of(objects, "pairing/") == []
    dropped.objects |= files
    [other] = files
    assert (await pairing.deliver(other)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


class ClosedStore(MemoryStore):
    """A drop folder some of whose files are closed to the gateway."""

    def __init__(self, *closed: str) -> None:
        super().__init__()
        self.closed = set(closed)

    async def read(
        self,
        key: str,
        *,
        limit_bytes: int | None = None,
        version_id: str | None = None,
        reserve: Reserve | None = None,
    ) -> bytes:
        if key in self.closed:
            raise ObjectNotReadableError("permission denied")
        return await super().read(
            key, limit_bytes=limit_bytes, version_id=version_id, reserve=reserve
        )


@pytest.mark.parametrize("closed", [IMAGE, SIDECAR])
@pytest.mark.parametrize("first", [IMAGE, SIDECAR])
async def test_pair_of_a_file_that_cannot_be_read_waits_and_is_parked_for_its_true_reason(
    objects: MemoryStore, readings: Readings, closed: str, first: str
):
    dropped = ClosedStore(closed)
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    patient = gateway_on(objects, dropped, readings)
    assert (await patient.deliver(first)).outcome is Outcome.WAITING
    await patient.sweep()
    assert left_of(objects, "parked/") == []
    late = gateway_on(objects, dropped, readings, waiting_deadline_s=0)
    await late.sweep()
    await late.sweep()
    [item] = await Parking(objects, problem_of).items(after="", limit=9)
    assert (item.problem.type, item.study_id) == ("urn:radstream:problem:object-not-readable", "S1")
    assert "permission denied" in (item.problem.detail or "")
    assert left_of(objects, "pairing/") == []
    assert (await patient.retry(item.id)).outcome is Outcome.PARKED
    dropped.closed.clear()
    assert (await patient.deliver(closed)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


async def test_closed_file_whose_name_does_not_tell_waits_until_it_can_be_looked_at(
    objects: MemoryStore, readings: Readings
):
    dropped = ClosedStore("images/S1/README")
    dropped.objects["images/S1/README"] = b"Send files here."
    pairing = gateway_on(objects, dropped, readings)
    assert (await pairing.deliver("images/S1/README")).outcome is Outcome.WAITING
    dropped.closed.clear()
    await pairing.sweep()
    assert left_of(objects) == []


async def test_half_waits_from_its_first_delivery(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    put(dropped, a_png=PNG)
    await pairing.deliver(IMAGE)
    [waiting] = left_of(objects)
    first = objects.objects[waiting]
    await pairing.deliver(IMAGE)
    await pairing.sweep()
    assert {key: objects.objects[key] for key in left_of(objects)} == {waiting: first}


async def test_sweep_takes_up_a_pair_whose_second_event_was_lost(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG)
    await pairing.deliver(IMAGE)
    put(dropped, a_json=sidecar("S1"))
    await pairing.sweep()
    assert readings.inferences.total() == 1
    assert left_of(objects) == []


# --- the orders that matter ----------------------------------------------------------------------


class HeldStore(MemoryStore):
    """The view of the shared objects that a gateway has which is held before a step."""

    def __init__(self, objects: dict[str, bytes], call: str, prefix: str) -> None:
        super().__init__(no_turn)
        self.objects = objects
        self.reached, self.released = asyncio.Event(), asyncio.Event()
        self._at = call, prefix

    async def _step(self, call: str, key: str) -> None:
        if call == self._at[0] and key.startswith(self._at[1]):
            self.reached.set()
            await self.released.wait()
        await super()._step(call, key)


async def test_half_that_is_noted_as_waiting_after_its_pair_was_read_waits_no_longer(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    put(dropped, a_png=PNG)
    held = HeldStore(objects.objects, "create", "pairing/waiting/")
    first = asyncio.create_task(gateway_on(held, dropped, Readings()).deliver(IMAGE))
    await held.reached.wait()
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    held.released.set()
    assert (await first).outcome is Outcome.DUPLICATE
    assert left_of(objects) == []


async def test_half_that_is_parked_after_its_pair_was_read_is_cleared(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    put(dropped, a_png=PNG)
    await pairing.deliver(IMAGE)
    held = HeldStore(objects.objects, "replace", "parked/")
    sweep = asyncio.create_task(gateway_on(held, dropped, Readings(), waiting_deadline_s=0).sweep())
    await held.reached.wait()
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    held.released.set()
    await sweep
    assert left_of(objects) == []


@pytest.mark.parametrize(
    ("call", "key"), [("replace", "results/S1/images/"), ("swap", "results/S1/result.json")]
)
async def test_pair_that_two_gateways_process_at_once_has_one_reading(
    objects: MemoryStore, dropped: MemoryStore, call: str, key: str
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    held = HeldStore(objects.objects, call, key)
    late, heir = storing_gateway(held, dropped), storing_gateway(objects, dropped)
    delivery = asyncio.create_task(late.deliver(IMAGE))
    await held.reached.wait()
    assert (await heir.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    held.released.set()
    assert (await delivery).study == "/v1/studies/S1"
    await check_one_reading(objects)


def storing_gateway(
    objects: MemoryStore,
    dropped: MemoryStore,
    readings: Readings | None = None,
    *,
    turn: Callable[[], Awaitable[None]] = no_turn,
    waiting_deadline_s: float = 3600.0,
) -> DropFolderGateway:
    """One gateway's drop folder, which keeps readings; no clock of its own ends anything."""
    readings = readings or Readings()
    return gateway_on(
        objects,
        dropped,
        readings,
        pipeline=StoringPipeline(results_on(objects), readings, turn),
        waiting_deadline_s=waiting_deadline_s,
        timeout_s=600,
    )


async def check_one_reading(objects: MemoryStore, *, orphans: bool = False) -> None:
    """Hold the study to one reading whose image is there, with nothing waiting and nothing parked.

    Parameters
    ----------
    orphans
        Whether a gateway died, and may have left images that nothing names.
    """
    [reading] = await results_on(objects).readings("S1")
    assert reading.sha256 == hashlib.sha256(PNG).hexdigest()
    assert await results_on(objects).image(reading) == PNG
    images = [key for key in left_of(objects, "results/S1/images/") if "/image-" in key]
    assert orphans or len(images) == 1
    assert left_of(objects) == []


# --- any order of the steps ----------------------------------------------------------------------


async def until_done(pairing: DropFolderGateway, key: str) -> Outcome:
    """Deliver as EventBridge and the forwarder do: again after trouble."""
    while True:
        try:
            return (await pairing.deliver(key)).outcome
        except RadStreamError:
            await asyncio.sleep(0)


def random_turns(seed: int) -> Callable[[], Awaitable[None]]:
    """Lets others run between any two steps, for as many of theirs as the seed says."""
    rng = random.Random(seed)  # noqa: S311 - orders of steps, no secrets

    async def turn() -> None:
        for _ in range(rng.choice([0, 1, 2, 5, 20])):
            await asyncio.sleep(0)

    return turn


@pytest.mark.parametrize("sweeping", [False, True], ids=["patient", "parking"])
async def test_any_interleaving_of_two_gateways_leaves_a_pair_one_reading(sweeping: bool):
    await asyncio.gather(*(race(seed, sweeping=sweeping) for seed in range(150)))


async def race(seed: int, *, sweeping: bool) -> None:
    turn = random_turns(seed)
    objects, dropped, readings = MemoryStore(turn), MemoryStore(turn), [Readings(), Readings()]
    # It is the order of steps that is looked at: no clock may end any of them.
    gateways = [
        storing_gateway(objects, dropped, own, turn=turn, waiting_deadline_s=0) for own in readings
    ]
    outcomes: list[Outcome] = []

    async def send(key: str, data: bytes) -> None:
        await turn()
        await dropped.replace(key, data, media_type="")
        outcomes.extend(await asyncio.gather(*(until_done(gateway, key) for gateway in gateways)))

    async def sweep(gateway: DropFolderGateway) -> None:
        while sweeping and len(outcomes) < 4:
            await gateway.sweep()

    await asyncio.gather(
        send(IMAGE, PNG), send(SIDECAR, sidecar("S1")), *(sweep(gateway) for gateway in gateways)
    )
    assert 1 <= sum(own.inferences.total() for own in readings) <= 2, seed
    assert max(own.inferences.total() for own in readings) == 1, seed  # inside of a process
    assert 1 <= outcomes.count(Outcome.PROCESSED) <= 2 or sweeping, seed
    await check_one_reading(objects)


@pytest.mark.parametrize("redelivered", [True, False], ids=["redelivered", "swept"])
async def test_gateway_may_die_at_any_step(redelivered: bool):
    died = 0
    for step in range(60):
        objects, dropped, readings = MemoryStore(no_turn), MemoryStore(no_turn), Readings()
        put(dropped, a_png=PNG)
        heir = storing_gateway(objects, dropped, readings)
        await heir.deliver(IMAGE)
        put(dropped, a_json=sidecar("S1"))
        mortal = MortalStore(objects.objects, step)
        delivery = storing_gateway(mortal, dropped, readings).deliver(SIDECAR)
        died += await mortal.kills(delivery)
        if redelivered:
            assert (await heir.deliver(SIDECAR)).outcome in {Outcome.PROCESSED, Outcome.DUPLICATE}
        await heir.sweep()
        assert readings.inferences.total() <= 2, step
        await check_one_reading(objects, orphans=True)
    assert 6 < died < 60  # it came to its end, too


@pytest.mark.parametrize("seed", range(10))
async def test_deliveries_of_a_pair_inside_a_process_cost_one_inference(
    dropped: MemoryStore, readings: Readings, seed: int
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    turn = random_turns(seed)
    gateway = storing_gateway(MemoryStore(turn), dropped, readings, turn=turn)
    deliveries = await asyncio.gather(*(gateway.deliver(key) for key in (IMAGE, SIDECAR) * 3))
    assert sorted(delivery.outcome for delivery in deliveries) == ["duplicate"] * 5 + ["processed"]
    assert readings.inferences.total() == 1


async def test_deliveries_that_wait_for_their_pair_take_no_turn_from_others(
    objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    held = asyncio.Event()

    async def turn() -> None:
        if readings.inferences.total() == 1:  # the first
            await held.wait()

    pairing = storing_gateway(objects, dropped, readings, turn=turn)
    for study in ("S1", "S2"):
        dropped.objects |= {f"images/{study}/a.png": PNG, f"images/{study}/a.json": sidecar(study)}
    waiting = [asyncio.create_task(pairing.deliver(IMAGE)) for _ in range(40)]  # of 16 turns
    await until(lambda: readings.inferences.total() == 1)
    assert (await pairing.deliver("images/S2/a.png")).outcome is Outcome.PROCESSED
    held.set()
    outcomes = [delivery.outcome for delivery in await asyncio.gather(*waiting)]
    assert sorted(outcomes) == ["duplicate"] * 39 + ["processed"]


def ago(seconds: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)


def fresh_after(pairing: DropFolderGateway) -> tuple[float, float]:
    """Studies whose freshness was told, and the seconds of all of them."""
    registry = pairing.metrics.registry
    name, labels = "radstream_study_freshness_seconds", {"route": "event"}
    count, seconds = (registry.get_sample_value(f"{name}_{each}", labels) for each in COUNT_AND_SUM)
    assert count is not None
    assert seconds is not None
    return count, seconds


COUNT_AND_SUM = ("count", "sum")


@pytest.mark.parametrize(("image_ago", "sidecar_ago"), [(300, 100), (100, 300)])
async def test_freshness_counts_from_the_later_half_and_once(
    pairing: DropFolderGateway, dropped: MemoryStore, image_ago: float, sidecar_ago: float
):
    """Whichever event comes, however late, to whatever gateway: the store has the time."""
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    dropped.times = {IMAGE: ago(image_ago), SIDECAR: ago(sidecar_ago)}
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.PROCESSED
    count, seconds = fresh_after(pairing)
    assert count == 1
    assert 100 <= seconds < 200
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.DUPLICATE
    assert fresh_after(pairing) == (count, seconds)


async def test_freshness_of_a_dicom_file_is_its_own_and_of_what_is_parked_none(
    pairing: DropFolderGateway, dropped: MemoryStore
):
    dropped.objects["images/S2/x.dcm"] = file_of(radiograph())
    dropped.times["images/S2/x.dcm"] = ago(100)
    assert (await pairing.deliver("images/S2/x.dcm")).outcome is Outcome.PROCESSED
    assert fresh_after(pairing)[1] >= 100
    put(dropped, a_png=PNG, a_json=b"{}")
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.PARKED
    assert fresh_after(pairing)[0] == 1


async def test_oldest_half_and_oldest_parked_item_tell_their_age(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore
):
    def sample(name: str) -> float | None:
        return pairing.metrics.registry.get_sample_value(f"radstream_dropfolder_{name}")

    put(dropped, a_png=PNG, b_png=PNG)
    for name, since in (("a", ago(300)), ("b", ago(100))):
        await pairing.deliver(f"images/S1/{name}.png")
        [key] = [
            key
            for key, data in objects.objects.items()
            if key.startswith("pairing/waiting/") and f"S1/{name}.png" in data.decode()
        ]
        half = WaitingHalf.model_validate_json(objects.objects[key])
        since_then = half.model_copy(update={"since": since})
        objects.objects[key] = since_then.model_dump_json(by_alias=True).encode()
    await pairing.sweep()
    assert sample("waiting") == 2
    assert 300 <= (sample("waiting_oldest_age_seconds") or 0) < 400
    put(dropped, a_json=sidecar("S1"), b_json=b"{}")
    for name in "ab":
        await pairing.deliver(f"images/S1/{name}.json")
    await pairing.sweep()
    assert (sample("waiting"), sample("waiting_oldest_age_seconds")) == (0, 0)

    parking = Parking(objects, problem_of)
    count = ParkedCount(parking, pairing.metrics.dropfolder.keep_parked)
    [item] = await parking.items(after="", limit=9)
    parked_then = item.model_copy(update={"parked_at": ago(100)})
    objects.objects[parking.key(item)] = parked_then.model_dump_json(by_alias=True).encode()
    await count.sweep()
    assert sample("parked") == 1
    assert 100 <= (sample("parked_oldest_age_seconds") or 0) < 200
    objects.calls.clear()
    await count.sweep()
    assert [call for call, _ in objects.calls] == ["keys"]
    await parking.discard(item.id)
    await count.sweep()
    assert (sample("parked"), sample("parked_oldest_age_seconds")) == (0, 0)
