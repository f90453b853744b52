"""State of each destination, out of the gateway's own metrics and the routing document in force.

Nothing is asked of the store or of a destination: the counts are those of the last sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.metrics import MetricWrapperBase

    from gateway.observability.metrics import Metrics
    from gateway.schemas.routing import RoutingDocument
    from gateway.schemas.routing_destinations import Destination

_BROUGHT = ("confirmed", "acknowledged")
# As the alert `RadStreamDeliveriesWaiting` has it.
_LONG_WAIT_S = 900.0


class Health(StrEnum):
    """Health of a destination, the worst that holds."""

    GONE = "gone"  # the routing document lists it no longer
    SILENT = "silent"
    PARKED = "parked"
    FAILING = "failing"  # no attempt brought anything, or a result has waited for too long
    UNUSED = "unused"  # no attempt was made
    WELL = "well"


@dataclass(frozen=True, slots=True)
class DestinationState:
    """A destination, and how what is brought to it stands.

    Parameters
    ----------
    name, destination
        Its name; the destination, None where the routing document has none of this name.
    waiting, parked
        Results of the whole store that it has not acknowledged, and that are not tried again.
    oldest_s
        Age in seconds of the oldest one that waits; 0 without any.
    is_silent
        True while it does not answer this gateway.
    attempts
        Attempts of this gateway since its start, by outcome.
    """

    name: str
    destination: Destination | None
    waiting: int = 0
    parked: int = 0
    oldest_s: float = 0.0
    is_silent: bool = False
    attempts: Mapping[str, int] | None = None

    @property
    def health(self) -> Health:
        """Return the worst that holds of it."""
        if self.destination is None:
            return Health.GONE
        if self.is_silent:
            return Health.SILENT
        if self.parked:
            return Health.PARKED
        if self.oldest_s > _LONG_WAIT_S or (self.failed and not self.brought):
            return Health.FAILING
        return Health.WELL if self.brought else Health.UNUSED

    @property
    def brought(self) -> int:
        """Return the number of results that it acknowledged."""
        return sum((self.attempts or {}).get(outcome, 0) for outcome in _BROUGHT)

    @property
    def failed(self) -> int:
        """Return the number of attempts that brought nothing."""
        return sum((self.attempts or {}).values()) - self.brought

    @property
    def address(self) -> str:
        """Return the address in one line, as the routing document has it."""
        found: Any = self.destination
        if found is None:
            return ""
        if found.kind not in ("dicom", "hl7"):
            return str(found.url)
        host = f"[{found.host}]" if ":" in found.host else found.host
        title = f"{found.ae_title} · " if found.kind == "dicom" else ""
        return f"{title}{host}:{found.port}"


def destination_states(
    metrics: Metrics, document: RoutingDocument, *, is_shared: bool = False
) -> list[DestinationState]:
    """Return the states of those in the document, in its order, then of those that have a line.

    Parameters
    ----------
    is_shared
        True where the metrics have destinations of other tenants: then those alone that the
        document lists.
    """
    found = metrics.delivery
    items = {
        (labels["destination"], labels["state"]): int(value)
        for labels, value in _samples(found.items)
    }
    oldest = {labels["destination"]: value for labels, value in _samples(found.oldest_age)}
    silent = {labels["destination"]: value for labels, value in _samples(found.circuit_open)}
    attempts: dict[str, dict[str, int]] = {}
    for labels, value in _samples(found.attempts):
        attempts.setdefault(labels["destination"], {})[labels["outcome"]] = int(value)
    listed = {destination.name: destination for destination in document.destinations}
    states = [
        DestinationState(
            name,
            listed.get(name),
            waiting=items.get((name, "waiting"), 0),
            parked=items.get((name, "parked"), 0),
            oldest_s=oldest.get(name, 0.0),
            is_silent=bool(silent.get(name)),
            attempts=attempts.get(name, {}),
        )
        for name in dict.fromkeys([*listed, *sorted(oldest)])
    ]
    # A line that the document lists no longer counts as long as something is left on it.
    return [
        state
        for state in states
        if state.destination or (not is_shared and (state.waiting or state.parked))
    ]


def _samples(metric: MetricWrapperBase) -> list[tuple[dict[str, str], float]]:
    [family] = metric.collect()
    return [
        (sample.labels, sample.value)
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
