"""C-STORE to archives: each answer, and archives that give none."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from structlog.testing import capture_logs

from gateway.delivery.dicom_store import DicomTransport
from gateway.delivery.transport import Rendering
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_destinations import DicomDestination
from gateway.settings import DimseSettings
from tests.support.delivery_archives import CLASSES, TITLE, archive, mute, rendering
from tests.support.gateway import until

# pynetdicom leaves a socket that did not connect to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


@contextmanager
def to(
    port: int, listener: DimseSettings | None = None, **changes: Any
) -> Iterator[DicomTransport]:
    """The way to the archive on a port of loopback."""
    destination = {"name": "pacs", "kind": "dicom", "ae_title": TITLE, "host": "127.0.0.1"}
    transport = DicomTransport(
        DicomDestination.model_validate(destination | {"port": port} | changes),
        listener or DimseSettings(),
        at_once=1,
    )
    try:
        yield transport
    finally:
        transport.close()


def soon() -> Deadline:
    return Deadline.after(20.0)


async def test_an_object_is_stored_under_the_title_of_the_listener_or_the_destination():
    sent = rendering()
    with archive() as pacs:
        with to(pacs.port) as transport:
            await transport.send(sent, soon())
        with to(pacs.port, calling_ae_title="RESULTS") as transport:
            await transport.send(sent, soon())
    assert pacs.held == {sent.uid: 2}
    assert pacs.calling == ["RADSTREAM", "RESULTS"]


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0x0111])
async def test_a_warning_is_success_and_is_logged(status: int):
    with archive() as pacs, to(pacs.port) as transport, capture_logs() as events:
        pacs.statuses.append(status)
        await transport.send(rendering(), soon())
    [event] = [event for event in events if event["event"] == "delivery.stored_with_warning"]
    assert (event["destination"], event["status"]) == ("pacs", f"{status:04X}")


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0110])
async def test_an_archive_that_is_full_or_fails_is_tried_again(status: int):
    with archive() as pacs, to(pacs.port) as transport:
        pacs.statuses.append(status)
        with pytest.raises(DeliveryUnansweredError, match=f"status {status:04X}") as caught:
            await transport.send(rendering(), soon())
    assert caught.value.is_sent


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC123, 0x0122, 0x0124])
async def test_any_other_failure_is_for_good(status: int):
    with archive() as pacs, to(pacs.port) as transport:
        pacs.statuses.append(status)
        with pytest.raises(DeliveryRefusedError, match=f"status {status:04X}"):
            await transport.send(rendering(), soon())


async def test_a_class_that_is_not_taken_is_refused_for_good():
    with (
        archive(classes=CLASSES[:1]) as pacs,
        to(pacs.port) as transport,
        pytest.raises(DeliveryRefusedError, match=f"class {CLASSES[2]}"),
    ):
        await transport.send(rendering(), soon())
    assert pacs.arrived == []


@pytest.mark.parametrize(("called", "callers", "reason"), [(TITLE, ["X"], 3), ("X", [], 7)])
async def test_an_association_that_is_rejected_is_asked_for_again(
    called: str, callers: list[str], reason: int
):
    with (
        archive(callers=callers) as pacs,
        to(pacs.port, ae_title=called) as transport,
        pytest.raises(DeliveryUnansweredError, match=f"source 1, reason {reason}"),
    ):
        await transport.send(rendering(), soon())


async def test_nobody_there_and_nobody_who_speaks():
    with mute() as port, to(port) as transport:
        with pytest.raises(DeliveryUnansweredError) as caught:
            await transport.send(rendering(), Deadline.after(1.5))
        assert not caught.value.is_sent
    with to(port) as transport, pytest.raises(DeliveryUnansweredError):
        await transport.send(rendering(), soon())


async def test_silence_after_the_object_ends_the_association():
    sent = rendering()
    with archive() as pacs, to(pacs.port) as transport:
        pacs.silent.set()
        with pytest.raises(DeliveryUnansweredError) as caught:
            await transport.send(sent, Deadline.after(1.5))
        assert caught.value.is_sent
        pacs.silent.clear()
        await transport.send(sent, soon())
    assert pacs.calling == ["RADSTREAM"] * 2
    assert pacs.arrived == [sent.uid] * 2


async def test_an_archive_that_stops_reading_is_left_alone_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.delivery.dicom_store._NEGOTIATION_S", 1.0)
    large = rendering(PixelData=bytes(32 * 2**20))
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept_association(reader, writer)
        await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=2**12)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with to(port) as transport, pytest.raises(DeliveryUnansweredError):
            await transport.send(large, Deadline.after(3.0))
        over.set()


async def accept_association(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept an association of one context, and read nothing more."""
    head = await reader.readexactly(6)
    request = await reader.readexactly(int.from_bytes(head[2:6]))
    syntax = ExplicitVRLittleEndian.encode()
    result = b"\x40\0" + len(syntax).to_bytes(2) + syntax
    context = b"\x21\0" + (4 + len(result)).to_bytes(2) + b"\x01\0\0\0" + result
    application = b"1.2.840.10008.3.1.1.1"
    user = b"\x51\0\0\x04" + (2**16).to_bytes(4)
    uid = b"1.2.3"
    user += b"\x52\0" + len(uid).to_bytes(2) + uid
    items = b"\x10\0" + len(application).to_bytes(2) + application + context
    items += b"\x50\0" + len(user).to_bytes(2) + user
    body = request[:68] + items
    writer.write(b"\x02\0" + len(body).to_bytes(4) + body)
    await writer.drain()


async def test_closing_cuts_off_what_is_on_its_way():
    with archive() as pacs, to(pacs.port) as transport:
        pacs.silent.set()
        sending = asyncio.create_task(transport.send(rendering(), Deadline.after(3600.0)))
        await until(lambda: bool(pacs.arrived))
        transport.close()
        with pytest.raises(DeliveryUnansweredError):
            await sending


async def test_an_archive_of_the_default_syntax_alone_gets_it():
    sent = rendering()
    with archive(syntaxes=[ImplicitVRLittleEndian]) as pacs, to(pacs.port) as transport:
        await transport.send(sent, soon())
    assert pacs.held == {sent.uid: 1}


async def test_a_find_tells_if_the_archive_holds_the_object():
    sent = rendering()
    with archive(finds=True) as pacs, to(pacs.port) as transport:
        assert await transport.is_held(sent, soon()) is False
        await transport.send(sent, soon())
        assert await transport.is_held(sent, soon()) is True


async def test_an_archive_without_a_find_is_not_asked():
    with archive() as pacs, to(pacs.port) as transport:
        assert await transport.is_held(rendering(), soon()) is None


async def test_tls_shows_the_certificate_of_the_listener_or_the_destination(tmp_path: Path):
    authority, sent = trustme.CA(), rendering()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("pacs.example.org").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    files = {name: tmp_path / name for name in ("certificate", "key", "authorities")}
    own = authority.issue_cert("gateway.example.org")
    own.cert_chain_pems[0].write_to_path(files["certificate"])
    own.private_key_pem.write_to_path(files["key"])
    authority.cert_pem.write_to_path(files["authorities"])
    listener = DimseSettings(
        tls_certificate=files["certificate"],
        tls_key=files["key"],
        tls_client_ca=files["authorities"],
    )
    with archive(context=server) as pacs:
        with to(pacs.port, listener, tls={}) as transport:
            await transport.send(sent, soon())
        with to(pacs.port, tls={name: str(path) for name, path in files.items()}) as transport:
            await transport.send(sent, soon())
            files["authorities"].write_text("")
            with pytest.raises(DeliveryUnansweredError, match="TLS"):
                await transport.send(sent, soon())
            trustme.CA().cert_pem.write_to_path(files["authorities"])
            with pytest.raises(DeliveryUnansweredError):
                await transport.send(sent, soon())
    assert pacs.held == {sent.uid: 2}


async def test_what_is_no_dicom_file_is_refused():
    with to(1) as transport, pytest.raises(DeliveryRefusedError):
        await transport.send(
            Rendering(RenderingKind.STRUCTURED_REPORT, "1.2", "application/dicom", b"x"), soon()
        )
