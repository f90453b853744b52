"""Freshness is counted with the outcome of a delivery."""

import datetime as dt

import pytest

from gateway.schemas.events import Outcome
from tests.support.dicom import file_of, radiograph
from tests.support.pairing import (
    IMAGE,
    PNG,
    SIDECAR,
    DropFolderGateway,
    put,
    sidecar,
)
from tests.support.store import MemoryStore


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
