"""Destinations as one caller may see them: their states, and a check of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.delivery.destination_check import check_destination
from gateway.delivery.destination_states import destination_states
from gateway.runtime.deadline import Deadline

if TYPE_CHECKING:
    from gateway.delivery.destination_check import CheckedStep
    from gateway.delivery.destination_states import DestinationState
    from gateway.http.dependencies import Gateway
    from gateway.schemas.routing_destinations import Destination

_CHECK_S = 15.0


def states_of(gateway: Gateway) -> list[DestinationState]:
    """Return the states of the destinations that a gateway's callers may see."""
    return destination_states(
        gateway.metrics, gateway.routing.document, is_shared=gateway.tenant is not None
    )


async def check(gateway: Gateway, destination: Destination) -> tuple[CheckedStep, ...]:
    """Return the steps of a check that changes nothing at the destination, 15 s at most."""
    return await check_destination(destination, gateway.settings.dimse, Deadline.after(_CHECK_S))
