"""Senders store over DICOM: real peers, a real gateway, no Triton, which storing does not need."""

import asyncio
import socket
import struct
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from gateway.delivery.associations import rejection_of
from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import file_of, radiograph
from tests.support.dimse import (
    LiveListener,
    accepted,
    associated,
    dcmtk,
    dimse_settings,
    no_association,
    running_listener,
    store,
    write_senders,
)
from tests.support.dimse_wire import WireSender
from tests.support.gateway import audit_trail, run_command, until

pytestmark = pytest.mark.server

SAMPLES = sorted(Path(__file__).parents[2].joinpath("data", "images").glob("*.dcm"))
DX = "1.2.840.10008.5.1.4.1.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"


async def test_an_echo_is_answered(listener: LiveListener):
    code, output = await dcmtk("echoscu", listener)
    assert code == 0, output


@pytest.mark.parametrize("command", ["dcmsend", "storescu"])
async def test_dcmtk_stores(listener: LiveListener, tmp_path: Path, command: str):
    dataset = radiograph(PatientID="1234")
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(dataset))
    code, output = await dcmtk(command, listener, str(path))
    assert code == 0, output
    assert await accepted(listener, dataset.StudyInstanceUID) == 1
    [record] = [
        record
        for record in audit_trail(listener.gateway.settings)
        if record["operation"] == "C-STORE" and record["studies"] == [dataset.StudyInstanceUID]
    ]
    assert (record["outcome"], record["action"], record["agent"]["kind"]) == (
        "success",
        "C",
        "anonymous",
    )


async def test_every_transfer_syntax_that_is_read_is_stored(listener: LiveListener):
    """Each file as it is; dcmtk proposes what the file has."""
    code, output = await dcmtk("dcmsend", listener, *map(str, SAMPLES))
    assert code == 0, output
    assert output.count("Received C-STORE Response (Success)") == len(SAMPLES)


async def test_a_calling_title_from_elsewhere_is_rejected(tmp_path: Path):
    ward = {"name": "ward-3", "ae_title": "CT3", "addresses": ["127.0.0.0/8"]}
    far = {"name": "ward-4", "ae_title": "CT4", "addresses": ["192.0.2.0/24"]}
    async with running_listener(dimse_settings(tmp_path, senders=[ward, far])) as listener:
        assert (await dcmtk("echoscu", listener, "-aet", "CT3"))[0] == 0
        for title in ("CT4", "CT5"):
            code, output = await dcmtk("echoscu", listener, "-aet", title)
            assert code != 0
            assert "Calling AE Title Not Recognized" in output
        assert await listener.count("associations_total", outcome="calling_ae_title") == 2
        code, output = await dcmtk("echoscu", listener, "-aet", "CT3", "-aec", "OTHER")
        assert code != 0
        assert "Called AE Title Not Recognized" in output

        write_senders(tmp_path, [ward, far | {"addresses": ["127.0.0.1"]}])

        async def is_known() -> bool:
            return (await dcmtk("echoscu", listener, "-aet", "CT4"))[0] == 0

        await until(is_known)
        (tmp_path / "routing.json").write_text("{")
        name = "radstream_routing_file_valid"
        await until(lambda: has_value(listener, name, 0))
        assert (await dcmtk("echoscu", listener, "-aet", "CT4"))[0] == 0
    trail = audit_trail(listener.gateway.settings)
    records = [item for item in trail if not item["operation"].startswith("routing document")]
    refused = [item for item in records if item["outcome"] == "refused"]
    assert {item["operation"] for item in refused} == {"A-ASSOCIATE"}
    assert {item["address"] for item in refused} == {"127.0.0.1"}
    assert {item["agent"]["name"] for item in records if "agent" in item} == {"ward-3", "ward-4"}


async def has_value(listener: LiveListener, name: str, value: float) -> bool:
    return await listener.gateway.metric(name) == value


async def test_no_senders_are_not_all_senders(tmp_path: Path):
    async with running_listener(dimse_settings(tmp_path, senders=[])) as listener:
        assert (await dcmtk("echoscu", listener))[0] != 0


async def test_associations_beyond_the_limit_are_rejected_until_one_ends(tmp_path: Path):
    async with running_listener(dimse_settings(tmp_path, associations=1)) as listener:

        def one() -> None:
            with associated(listener.port, (VERIFICATION, ExplicitVRLittleEndian)) as first:
                assert first.is_established
                with associated(listener.port, (VERIFICATION, ExplicitVRLittleEndian)) as second:
                    assert rejection_of(second) is not None

        await asyncio.to_thread(one)
        await until(lambda: no_association(listener))
        assert (await dcmtk("echoscu", listener))[0] == 0
        assert await listener.count("associations_total", outcome="limit") == 1


async def test_as_many_associations_as_the_setting_says(listener: LiveListener):
    """pynetdicom has a limit of its own, of ten."""

    def hold() -> None:
        with ExitStack() as stack:
            for _ in range(listener.gateway.settings.dimse.associations):
                stack.enter_context(WireSender(listener.port))

    await asyncio.to_thread(hold)
    await until(lambda: no_association(listener))


GARBAGE = {
    "nothing": b"",
    "half a head": b"\x01\0\0",
    "half a request": b"\x01\0" + struct.pack(">L", 300) + b"\0" * 100,
    "a request of 4 GB": b"\x01\0\xff\xff\xff\xff",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "P-DATA first": b"\x04\0\0\0\0\x10" + b"\0" * 16,
    "a request of zeros": b"\x01\0" + struct.pack(">L", 80) + b"\0" * 80,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_ends_with_its_connection(listener: LiveListener, garbage: bytes):
    with socket.create_connection(("127.0.0.1", listener.port)) as connection:
        connection.sendall(garbage)
    assert (await dcmtk("echoscu", listener))[0] == 0
    await until(lambda: no_association(listener))


@pytest.mark.parametrize(("unaccepted", "status"), [("refuse", 0x0122), ("store", 0x0000)])
async def test_what_no_model_takes_is_refused_or_parked(
    triton: EmbeddedTriton, tmp_path: Path, unaccepted: str, status: int
):
    settings = dimse_settings(tmp_path, triton.grpc_url, unaccepted=unaccepted)
    dataset = radiograph(Modality="MR", BodyPartExamined="KNEE")
    async with running_listener(settings) as listener:
        await until(listener.gateway.is_ready)

        def send() -> int:
            with associated(listener.port, (DX, ExplicitVRLittleEndian)) as association:
                return int(store(association, dataset).Status)

        assert await asyncio.to_thread(send) == status
        path = f"/v1/studies/{dataset.StudyInstanceUID}"
        if status:
            assert (await listener.gateway.client.get(path)).status_code == 404
            return

        async def is_parked() -> bool:
            failed = (await listener.gateway.client.get(path)).json().get("failures", [])
            return [each["problem"]["status"] for each in failed] == [422]

        await until(is_parked)


async def test_a_radiograph_is_read_after_its_success(triton: EmbeddedTriton, tmp_path: Path):
    dataset = radiograph()
    async with running_listener(dimse_settings(tmp_path, triton.grpc_url)) as listener:
        await until(listener.gateway.is_ready)

        def send() -> list[int]:
            with associated(listener.port, (DX, ExplicitVRLittleEndian)) as association:
                return [int(store(association, dataset).Status) for _ in range(2)]

        assert await asyncio.to_thread(send) == [0x0000, 0x0000]

        async def is_read() -> bool:
            answer = await listener.gateway.client.get(f"/v1/studies/{dataset.StudyInstanceUID}")
            result = answer.json()
            return len(result["images"]) == 1 and not result.get("pending")

        await until(is_read)
        assert (
            await listener.gateway.metric(
                "radstream_studies_total", route="dimse", outcome="completed"
            )
            == 1
        )


async def test_a_port_that_is_taken_keeps_the_gateway_from_starting(
    listener: LiveListener, tmp_path: Path
):
    code, _, errors = await run_command(
        "serve",
        RADSTREAM_HTTP__PORT="0",
        RADSTREAM_STORE__FOLDER=str(tmp_path / "store"),
        RADSTREAM_DIMSE__LISTEN="true",
        RADSTREAM_DIMSE__PORT=str(listener.port),
    )
    assert code == 1
    assert f"cannot listen for DICOM on 127.0.0.1 port {listener.port}" in errors
    assert "RADSTREAM_DIMSE__PORT chooses another port" in errors


async def test_senders_that_cannot_be_read_keep_the_gateway_from_starting(tmp_path: Path):
    (tmp_path / "routing.json").write_text('{"schema": "radstream.routing/2"}')
    code, _, errors = await run_command(
        "serve",
        RADSTREAM_HTTP__PORT="0",
        RADSTREAM_STORE__FOLDER=str(tmp_path / "store"),
        RADSTREAM_DIMSE__LISTEN="true",
        RADSTREAM_DIMSE__PORT="0",
        RADSTREAM_ROUTING__FILE=str(tmp_path / "routing.json"),
    )
    assert code == 1
    assert "the routing document" in errors
    assert "/schema" in errors
