"""The ways to the destinations of the routing document in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gateway.delivery.dicom_store import DicomTransport
from gateway.delivery.fhir_server import FhirServerTransport
from gateway.delivery.mllp import MllpTransport
from gateway.delivery.stow import StowTransport
from gateway.delivery.transport import Transport
from gateway.delivery.webhook import WebhookTransport
from gateway.schemas.routing_destinations import (
    DicomDestination,
    FhirDestination,
    Hl7Destination,
    StowDestination,
    WebhookDestination,
)

if TYPE_CHECKING:
    from gateway.delivery.storage_commitment import Commitments
    from gateway.routing.in_force import Routing
    from gateway.schemas.routing_destinations import Destination
    from gateway.settings import DimseSettings

AT_ONCE = 4
"""Objects on their way to one destination at once."""


class ClosableTransport(Transport, Protocol):
    """A way that ends."""

    def close(self) -> None:
        """End it; what is on its way may be cut off."""
        ...


class Transports:
    """The ways, each of the destination as it was asked for last.

    Parameters
    ----------
    routing
        Has the destinations.
    listener
        Settings that DICOM destinations share with the listener.
    commitments
        Storage commitment that archives are asked for.
    """

    def __init__(
        self, routing: Routing, listener: DimseSettings, commitments: Commitments | None = None
    ) -> None:
        self._routing = routing
        self._commitments = commitments
        self._listener = listener
        self._made: dict[str, tuple[Destination, ClosableTransport]] = {}

    def to(self, name: str) -> tuple[Destination, Transport] | None:
        """Return the destination of this name and the way to it; None where there is none."""
        destinations = self._routing.document.destinations
        destination = next((each for each in destinations if each.name == name), None)
        made = self._made.get(name)
        if made is not None and made[0] == destination:
            return made
        if made is not None:
            del self._made[name]
            made[1].close()
        if destination is None:
            return None
        self._made[name] = made = (destination, self._new(destination))
        return made

    def close(self) -> None:
        """End all of them."""
        while self._made:
            _, (_, transport) = self._made.popitem()
            transport.close()

    def _new(self, destination: Destination) -> ClosableTransport:
        return new_transport(destination, self._listener, self._commitments)


def new_transport(
    destination: Destination, listener: DimseSettings, commitments: Commitments | None = None
) -> ClosableTransport:
    """Return a way to a destination, which is to be closed.

    Parameters
    ----------
    listener, commitments
        See `Transports`.
    """
    match destination:
        case DicomDestination():
            return DicomTransport(destination, listener, at_once=AT_ONCE, commitments=commitments)
        case StowDestination():
            return StowTransport(destination)
        case FhirDestination():
            return FhirServerTransport(destination)
        case Hl7Destination():
            return MllpTransport(destination)
        case WebhookDestination():
            return WebhookTransport(destination)
