"""HL7 v2 messages over MLLP, and over TLS where the receiver asks for it.

A message is done once the receiver's acknowledgement names it and accepts it. Each has a connection
of its own, which ends with it: what comes late on it can be taken for the answer to no other
message. They go one after another.

References
----------
HL7 *Transport Specification: MLLP*, release 1 (the frame). HL7 2.5.1, chapter 2: 2.9.2 (original
mode), 2.15.8 (MSA), 2.15.5 (ERR).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.delivery.client_tls import client_context
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.delivery.transport import Rendering
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.routing_destinations import Hl7Destination

_START, _END, _RETURN = b"\x0b", b"\x1c", b"\r"
_MOST_ANSWER_BYTES = 64 * 1024
_GOODBYE_S = 1.0
# What takes the message, or refuses it for good; all else may go well when it is sent again.
_ACCEPTED = frozenset({"AA", "CA"})
_REFUSED = frozenset({"AE", "CE"})
_CODE = re.compile(rb"[A-Z]{2}")
_ERROR_NUMBER = re.compile(rb"[0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Acknowledgement of a message.

    Attributes
    ----------
    code
        Acknowledgement code (MSA-1); empty where it is none.
    control_id
        Control ID of the message (MSA-2).
    error
        HL7 error code (ERR-3) where it has one, such as 207.
    """

    code: str
    control_id: str
    error: str


class MllpTransport:
    """The way to one receiver.

    Parameters
    ----------
    destination
        The receiver.
    """

    def __init__(self, destination: Hl7Destination) -> None:
        self._destination = destination
        self._turn = asyncio.Lock()

    def close(self) -> None:
        """Do nothing: no connection is open."""

    async def send(self, rendering: Rendering, deadline: Deadline) -> None:
        """Send a message; return once the receiver accepted it.

        Raises
        ------
        DeliveryRefusedError
            The receiver refused it: AE or CE.
        DeliveryUnansweredError
            It answered AR or CR, or about another message, or not in time.
        """
        is_sent = False
        try:
            async with asyncio.timeout(deadline.remaining_s()), self._connection() as peer:
                reader, writer = peer
                writer.write(_START + rendering.data + _END + _RETURN)
                await writer.drain()
                is_sent = True
                answer = await reader.readuntil(_END)
        except TimeoutError as error:
            raise DeliveryUnansweredError("it did not acknowledge in time", is_sent) from error
        except asyncio.LimitOverrunError as error:
            raise DeliveryUnansweredError("its answer is too long", is_sent) from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise DeliveryUnansweredError(_fault(error), is_sent) from error
        _judge(acknowledgement(answer), rendering.uid)

    async def is_held(self, rendering: Rendering, deadline: Deadline) -> bool | None:
        """Return None: HL7 v2 has no question for a message that was sent."""
        del rendering, deadline
        return None

    async def check(self, deadline: Deadline) -> str:
        """Open a connection and close it; HL7 v2 has no question to ask on it."""
        try:
            async with asyncio.timeout(deadline.remaining_s()), self._connection():
                return "it takes connections; no message was sent"
        except TimeoutError as error:
            raise DeliveryUnansweredError("it did not take the connection in time") from error
        except OSError as error:
            raise DeliveryUnansweredError(_fault(error)) from error

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Yield a connection, once those before it are over."""
        async with self._turn:
            to, tls = self._destination, self._destination.tls
            context = None if tls is None else await asyncio.to_thread(client_context, tls)
            reader, writer = await asyncio.open_connection(
                to.host, to.port, limit=_MOST_ANSWER_BYTES, ssl=context
            )
            try:
                yield reader, writer
                writer.close()
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_GOODBYE_S):
                        await writer.wait_closed()
            finally:
                writer.transport.abort()


def acknowledgement(frame: bytes) -> Acknowledgement | None:
    """Return the acknowledgement in a frame; None where there is none."""
    _, start, message = frame.partition(_START)
    if not start or message[:3] != b"MSH" or not message[3:4].strip():
        return None
    separator = message[3:4]
    code, control_id, error = b"", b"", b""
    for segment in message.rstrip(_END).replace(b"\n", _RETURN).split(_RETURN):
        name, *fields = segment.split(separator)
        if name == b"MSA" and len(fields) > 1:
            code, control_id = fields[0].strip(), fields[1].strip()
        elif name == b"ERR" and len(fields) > 2:  # noqa: PLR2004 - ERR-3
            [number, *_] = re.split(rb"[^0-9]", fields[2], maxsplit=1)
            error = error or number
    if not control_id:
        return None
    return Acknowledgement(
        code.decode() if _CODE.fullmatch(code) else "",
        control_id.decode("ascii", "replace"),
        error.decode() if _ERROR_NUMBER.fullmatch(error) else "",
    )


def _judge(answer: Acknowledgement | None, control_id: str) -> None:
    if answer is None:
        raise DeliveryUnansweredError("its answer is no acknowledgement", is_sent=True)
    if answer.control_id != control_id:
        raise DeliveryUnansweredError("it acknowledged another message", is_sent=True)
    if answer.code in _ACCEPTED:
        return
    reason = f"it answered {answer.code or 'with an unknown code'}"
    if answer.error:
        reason += f", error {answer.error}"
    if answer.code in _REFUSED:
        raise DeliveryRefusedError(reason)
    raise DeliveryUnansweredError(reason, is_sent=True)


def _fault(error: OSError | asyncio.IncompleteReadError) -> str:
    """Return a reason in words of our own: what the system says may name addresses."""
    if isinstance(error, asyncio.IncompleteReadError):
        return "it closed the connection before its acknowledgement"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if isinstance(error, ssl.SSLError):
        return "no TLS with it"
    return f"no connection: {type(error).__name__}"
