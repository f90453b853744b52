"""Every hostile data set of the tests over C-STORE: each is answered, none ends its association."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from gateway.triton.embedded import EmbeddedTriton
from preprocess.file_meta import read_file_meta
from tests.support.dimse import (
    LiveListener,
    dimse_settings,
    encoded,
    running_listener,
    secondary_capture,
)
from tests.support.dimse_wire import WireSender
from tests.support.gateway import until
from tests.support.hostile import hostile_instances

pytestmark = pytest.mark.server

JPEG = Path(__file__).parents[2] / "data" / "images" / "person931_bacteria_2856.jpeg"
STUDY = generate_uid()
HOSTILE = hostile_instances(JPEG.read_bytes(), STUDY)


@pytest.fixture(scope="module")
async def listener(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveListener]:
    settings = dimse_settings(tmp_path_factory.mktemp("hostile"), triton.grpc_url)
    async with running_listener(settings) as listener:
        await until(listener.gateway.is_ready)
        yield listener


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_data_set_is_answered_and_costs_no_other(listener: LiveListener, name: str):
    data = HOSTILE[name]
    meta = read_file_meta(data)
    assert meta.transfer_syntax_uid is not None
    data_set = data[144 + int.from_bytes(data[140:144], "little") :]

    def send() -> tuple[int, int]:
        with WireSender(listener.port, meta.transfer_syntax_uid, meta.sop_class_uid) as sender:
            first = sender.store(meta.sop_instance_uid, data_set)
            return first, sender.store(generate_uid(), b"\0" * 9)

    first, second = await asyncio.to_thread(send)
    assert first != 0x0110
    assert second not in {0x0000, 0x0110}


async def test_after_all_of_them_a_good_one_is_stored(listener: LiveListener):
    """Of those whose pixels alone are hostile none was read, and each is parked."""

    async def are_parked() -> bool:
        study = (await listener.gateway.client.get(f"/v1/studies/{STUDY}")).json()
        assert study["images"] == []
        return "pending" not in study

    await until(are_parked)
    dataset = secondary_capture()

    def send() -> int:
        with WireSender(listener.port, ExplicitVRLittleEndian) as sender:
            return sender.store(dataset.SOPInstanceUID, encoded(dataset))

    assert await asyncio.to_thread(send) == 0x0000


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")  # leading zeros
@pytest.mark.parametrize("uid", ["", "abc", "1..2", "1.2.3 ", "0001.02", "1\\2", "1." + "2" * 80])
async def test_a_command_with_a_uid_that_is_none_is_answered(listener: LiveListener, uid: str):
    good = secondary_capture()

    def send() -> tuple[int, int]:
        with WireSender(listener.port) as sender:
            first = sender.store(uid, encoded(good))
            return first, sender.store(good.SOPInstanceUID, encoded(good))

    first, second = await asyncio.to_thread(send)
    assert first != 0x0000
    assert second == 0x0000
