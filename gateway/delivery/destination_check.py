"""Check of a destination, step by step: the way to it, TLS, and its answer to a harmless question.

Nothing is stored there. Each step is taken once the one before it went well, so that the last one
says on which side the fault is.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from yarl import URL

from gateway.delivery.client_tls import context_to
from gateway.delivery.transports import new_transport
from gateway.errors import DeadlineExceededError, DeliveryRefusedError, DeliveryUnansweredError
from gateway.runtime.peer_connection import peer_certificate
from gateway.schemas.routing_destinations import DicomDestination, Hl7Destination

if TYPE_CHECKING:
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.routing_destinations import Destination
    from gateway.settings import DimseSettings


class Step(StrEnum):
    """Step of a check."""

    CONNECTION = "connection"
    TLS = "tls"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class CheckedStep:
    """A step and its outcome.

    Parameters
    ----------
    step, passed
        The step, and True if it went well.
    detail
        The outcome in words; nothing in it is the destination's own text.
    """

    step: Step
    passed: bool
    detail: str


class _FailedStepError(Exception):
    """A step failed; the message says why."""


async def check_destination(
    destination: Destination, listener: DimseSettings, deadline: Deadline
) -> tuple[CheckedStep, ...]:
    """Return the steps to a destination, the last of which failed or was its answer.

    Parameters
    ----------
    listener
        Has the AE title and the TLS files that a DICOM destination leaves unset.
    """
    steps: list[CheckedStep] = []
    step = Step.CONNECTION
    host, port = address_of(destination)
    transport = new_transport(destination, listener)
    try:
        await _connect(host, port, deadline)
        steps.append(CheckedStep(step, True, f"port {port} of {host} takes connections"))
        step = Step.TLS
        context = await asyncio.to_thread(context_to, destination, listener)
        if context is not None:
            detail = await _connect(host, port, deadline, context)
            steps.append(CheckedStep(step, True, detail))
        step = Step.ANSWER
        async with deadline.bounds("delivery"):
            steps.append(CheckedStep(step, True, await transport.check(deadline)))
    except (DeliveryRefusedError, DeliveryUnansweredError) as error:
        steps.append(CheckedStep(step, False, error.reason))
    except DeadlineExceededError:
        steps.append(CheckedStep(step, False, "it did not answer in time"))
    except _FailedStepError as error:
        steps.append(CheckedStep(step, False, str(error)))
    finally:
        transport.close()
    return tuple(steps)


def address_of(destination: Destination) -> tuple[str, int]:
    """Return host and port of a destination."""
    if isinstance(destination, DicomDestination | Hl7Destination):
        return destination.host, destination.port
    url = URL(destination.url)
    return url.host or "", url.port or 0


async def _connect(
    host: str, port: int, deadline: Deadline, context: ssl.SSLContext | None = None
) -> str:
    """Open a connection and close it; return until when its certificate holds.

    Raises
    ------
    _FailedStepError
    """
    try:
        certificate = await peer_certificate(host, port, context, deadline.remaining_s())
    except OSError as error:
        raise _FailedStepError(_worded(error, host, port)) from error
    if certificate is None:
        return ""
    return f"its certificate is trusted, until {certificate.not_valid_after_utc:%Y-%m-%d}"


def _worded(error: OSError, host: str, port: int) -> str:
    match error:
        case socket.gaierror():
            words = f"the name {host} is not known to the name service of the gateway"
        case ssl.SSLCertVerificationError():
            words = f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            words = f"no TLS with it: {error.reason or 'it ended the connection'}"
        case ConnectionRefusedError():
            words = f"{host} refuses connections to port {port}: nothing listens there"
        case TimeoutError():
            words = f"{host} does not answer on port {port}: it is off, or a firewall is between"
        case ConnectionResetError() | BrokenPipeError():
            words = "it ended the connection"
        case _:
            words = f"{host} cannot be reached: {error.strerror or type(error).__name__}"
    return words
