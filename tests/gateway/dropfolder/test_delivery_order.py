"""Dropped files are known by their study, as far as it can be told."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from gateway.dropfolder.delivery_order import DeliveryOrder
from gateway.observability.metrics import Metrics
from gateway.studies.imaging import Imaging
from preprocess import Limits
from tests.support.dicom import file_of, radiograph
from tests.support.models import flat_png
from tests.support.pairing import DropFolderGateway, sidecar
from tests.support.store import MemoryStore

PNG = flat_png(1)


@pytest.fixture
def order(pairing: DropFolderGateway) -> Iterator[DeliveryOrder]:
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    yield DeliveryOrder(pairing.folder.inbox, imaging)
    imaging.close()


async def study_of(key: str, order: DeliveryOrder, pairing: DropFolderGateway) -> str:
    dropped = pairing.folder.inbox.find(f"images/{key}")
    assert dropped is not None
    return await order.study(dropped)


async def test_file_in_a_folder_is_of_its_study_whatever_it_holds(
    order: DeliveryOrder, pairing: DropFolderGateway, dropped: MemoryStore
):
    dropped.objects |= {"images/S1/a.png": PNG, "images/S1/a.json": sidecar("S2")}
    for name in ("S1/a.png", "S1/a.json", "S1/not-there.png"):
        assert await study_of(name, order, pairing) == "S1"
    assert dropped.calls == []  # no file is read for it


async def test_both_halves_of_a_pair_are_of_the_study_that_the_sidecar_names(
    order: DeliveryOrder, pairing: DropFolderGateway, dropped: MemoryStore
):
    dropped.objects |= {"images/a.png": PNG, "images/a.json": sidecar("S1")}
    assert await study_of("a.png", order, pairing) == "S1"
    assert await study_of("a.json", order, pairing) == "S1"


async def test_dicom_file_is_of_the_study_of_its_data_set(
    order: DeliveryOrder, pairing: DropFolderGateway, dropped: MemoryStore
):
    data = file_of(radiograph(StudyInstanceUID="1.2.3"))
    dropped.objects |= {"images/a.dcm": data, "images/IM000001": data}
    assert await study_of("a.dcm", order, pairing) == "1.2.3"
    assert await study_of("IM000001", order, pairing) == "1.2.3"
    dropped.objects["images/a.json"] = sidecar("S1")  # which is asked first
    assert await study_of("a.dcm", order, pairing) == "S1"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"images/a.png": PNG},
        {"images/a.png": PNG, "images/a.json": b"{"},
        {"images/a.png": PNG, "images/a.json": b'{"study_id": 7}'},
        {"images/a.png": PNG, "images/a.json": b" " * 2000},  # beyond what is read of one
    ],
    ids=["none", "alone", "broken", "number", "long"],
)
async def test_pair_whose_study_cannot_be_told_has_a_lane_of_its_own(
    files: dict[str, bytes],
    order: DeliveryOrder,
    pairing: DropFolderGateway,
    dropped: MemoryStore,
):
    dropped.objects |= files
    halves = [await study_of(name, order, pairing) for name in ("a.png", "a.json")]
    assert halves == ["images/a"] * 2


@pytest.mark.parametrize("data", [b"no DICOM", PNG, file_of(radiograph())[:200]])
async def test_file_that_is_no_whole_dicom_has_a_lane_of_its_own(
    data: bytes, order: DeliveryOrder, pairing: DropFolderGateway, dropped: MemoryStore
):
    dropped.objects |= {"images/a.dcm": data, "images/IM000001": data}
    assert await study_of("a.dcm", order, pairing) == "images/a"
    assert await study_of("IM000001", order, pairing) == "images/IM000001"
