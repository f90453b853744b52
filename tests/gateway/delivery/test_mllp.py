"""Messages over MLLP: to two receivers that are not ours, and to one that does all they may do."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hl7
import pytest
import trustme
from hl7.mllp import start_hl7_server
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.mllp import Acknowledgement, MllpTransport, acknowledgement
from gateway.delivery.transport import Rendering
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.renderings.oru import oru_message
from gateway.runtime.deadline import Deadline
from gateway.schemas.hl7 import MessageForm
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_destinations import Hl7Destination
from tests.support.studies import IDENTITY, image, study

RECEIVER = Path(__file__).parent / "peers" / "hl7_receiver.js"
HEAD = b"\x0bMSH|^~\\&|RIS||||20260131||ACK^R01|1|P|2.5.1\r"
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


def message(study_id: str = "S1") -> Rendering:
    data = oru_message(study(image(), study_id=study_id), IDENTITY, None, MessageForm())
    uid = data.split(b"|")[9].decode()
    return Rendering(RenderingKind.ORU, uid, "application/hl7-v2", data)


def ack(code: str, rendering: Rendering, rest: str = "") -> bytes:
    return HEAD + f"MSA|{code}|{rendering.uid}{rest}\r".encode() + b"\x1c\r"


def to(port: int, **changes: Any) -> MllpTransport:
    """The way to the receiver."""
    named = {"name": "ris", "kind": "hl7", "host": "127.0.0.1", "port": port}
    return MllpTransport(Hl7Destination.model_validate(named | changes))


def soon() -> Deadline:
    return Deadline.after(30)


@asynccontextmanager
async def receiver(answering: Answering) -> AsyncIterator[MllpTransport]:
    """A receiver that reads one message of each connection, and then does this."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\r")
        try:
            await answering(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield to(server.sockets[0].getsockname()[1])


def saying(*parts: bytes) -> Answering:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)

    return answer


@asynccontextmanager
async def hl7_receiver(
    code: str, received: list[hl7.Message], context: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The receiver of the package `hl7`; yields its port."""

    async def serve(reader: Any, writer: Any) -> None:
        while True:
            try:
                found = await reader.readmessage()
            except asyncio.IncompleteReadError:
                break
            received.append(found)
            writer.writemessage(found.create_ack(code))
            await writer.drain()
        writer.close()

    server = await start_hl7_server(serve, "127.0.0.1", 0, encoding="utf-8", ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_messages_go_one_after_another_and_are_done_when_they_are_accepted():
    received: list[hl7.Message] = []
    async with hl7_receiver("AA", received) as port:
        transport = to(port)
        sent = [message(f"S{number}") for number in range(20)]
        await asyncio.gather(*(transport.send(each, soon()) for each in sent))
        assert await transport.is_held(sent[0], soon()) is None
    assert [str(found["MSH"][0][10]) for found in received] == [each.uid for each in sent]
    assert [str(found).encode() for found in received] == [each.data for each in sent]


@pytest.mark.parametrize("code", ["AE", "CE"])
async def test_a_message_that_the_receiver_refuses_is_refused_for_good(code: str):
    async with hl7_receiver(code, []) as port:
        with pytest.raises(DeliveryRefusedError) as caught:
            await to(port).send(message(), soon())
    assert caught.value.reason == f"it answered {code}"


@pytest.mark.parametrize("code", ["AR", "CR", "XX"])
async def test_a_message_that_the_receiver_rejects_may_be_sent_again(code: str):
    async with hl7_receiver(code, []) as port:
        with pytest.raises(DeliveryUnansweredError):
            await to(port).send(message(), soon())


async def test_mllps_trusts_the_authority_of_the_receiver_alone(tmp_path: Path):
    authority, other = trustme.CA(), trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(serving)

    files = {}
    for name, each in (("known", authority), ("other", other)):
        files[name] = {"authorities": tmp_path / name}
        each.cert_pem.write_to_path(str(tmp_path / name))
    received: list[hl7.Message] = []
    async with hl7_receiver("AA", received, serving) as port:
        await to(port, host="localhost", tls=files["known"]).send(message(), soon())
        assert len(received) == 1
        with pytest.raises(DeliveryUnansweredError) as caught:
            await to(port, host="localhost", tls=files["other"]).send(message(), soon())
        assert caught.value.reason == "its certificate is not trusted"
        with pytest.raises(DeliveryUnansweredError):
            await to(port).send(message(), Deadline.after(5))
    assert len(received) == 1


@pytest.mark.server
@pytest.mark.parametrize(
    ("code", "error"),
    [("AA", None), ("AE", DeliveryRefusedError), ("AR", DeliveryUnansweredError)],
)
async def test_a_receiver_in_javascript_reads_and_answers(code: str, error: type[Exception] | None):
    command = ("node", RECEIVER, code)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        transport = to(int(await process.stdout.readline()))
        sent = message()
        if error is None:
            await transport.send(sent, soon())
        else:
            with pytest.raises(error):
                await transport.send(sent, soon())
        received = json.loads(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()
    assert received["control"] == sent.uid
    assert received["notes"][0] == "Made by a machine. Not reviewed by a physician."


async def test_an_answer_is_read_wherever_it_is_split():
    sent = message()
    whole = ack("AA", sent)
    for place in range(1, len(whole)):
        async with receiver(saying(whole[:place], whole[place:])) as transport:
            await transport.send(sent, soon())
    async with receiver(saying(*(bytes([byte]) for byte in whole))) as transport:
        await transport.send(sent, soon())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "it closed the connection before its acknowledgement"),
        (HEAD[:20], "it closed the connection before its acknowledgement"),
        (ack("AA", message("S2")), "it acknowledged another message"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n\x1c\r", "its answer is no acknowledgement"),
        (HEAD + b"\x1c\r", "its answer is no acknowledgement"),
        (b"\x0b\x1c\r", "its answer is no acknowledgement"),
        (b"\x0b" + bytes(2**17), "its answer is too long"),
    ],
)
async def test_an_answer_that_is_none_leaves_the_message_to_be_sent_again(
    answer: bytes, reason: str
):
    async with receiver(saying(answer)) as transport:
        with pytest.raises(DeliveryUnansweredError) as caught:
            await transport.send(message(), soon())
    assert caught.value.reason == reason


async def test_a_late_answer_is_taken_for_no_other_message():
    first, second = message("S1"), message("S2")
    waits, lines = asyncio.Event(), list[bytes]()

    async def late_then_prompt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not lines:
            lines.append(b"")
            await waits.wait()
            writer.write(ack("AA", first))
            lines[0] = await reader.read()  # the end of the connection
        else:
            writer.write(ack("AA", second))

    async with receiver(late_then_prompt) as transport:
        with pytest.raises(DeliveryUnansweredError) as caught:
            await transport.send(first, Deadline.after(0.2))
        assert caught.value.reason == "it did not acknowledge in time"
        assert caught.value.is_sent
        waits.set()
        await transport.send(second, soon())
    assert lines == [b""]


async def test_no_receiver_leaves_the_message_to_be_sent_again():
    async with receiver(saying()) as transport:
        pass
    with pytest.raises(DeliveryUnansweredError) as caught:
        await transport.send(message(), soon())
    assert caught.value.reason == "no connection: ConnectionRefusedError"
    assert not caught.value.is_sent


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"\x0bMSH|^~\\&|R\rMSA|AE|7|Smith, Ann\rERR|||207^Fault^HL70357|E\r\x1c",
         Acknowledgement("AE", "7", "207")),
        (b"\x0bMSH|^~\\&|R\r\nMSA|AA|7\r\nERR|||\r\n\x1c", Acknowledgement("AA", "7", "")),
        (b"\x0bMSH$^~\\&$R\rMSA$AR$7\rERR$$$Smith\r\x1c", Acknowledgement("AR", "7", "")),
        (b"\x0bMSH|^~\\&|R\rMSA|Smith|7\r\x1c", Acknowledgement("", "7", "")),
        (b"\x0bMSH|^~\\&|R\rMSA|AA\r\x1c", None),
        (b"MSH|^~\\&|R\rMSA|AA|7\r\x1c", None),
    ],
)  # fmt: skip
def test_an_acknowledgement_is_read(answer: bytes, expected: Acknowledgement | None):
    assert acknowledgement(answer) == expected


@given(st.binary() | st.binary().map(lambda tail: HEAD + b"MSA|AA|" + tail))
def test_whatever_is_answered_is_an_acknowledgement_or_none(answer: bytes):
    acknowledgement(answer)
