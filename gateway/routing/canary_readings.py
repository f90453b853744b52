"""Latest readings of a canary on all gateways, and the limits that they are held to.

``work/canaries/{canary}.json``
    Latest readings of a canary, and its verdicts as a shadow model by label.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from gateway.acceptance.agreement import Verdicts
from gateway.schemas.stored_document import StoredDocument

if TYPE_CHECKING:
    from gateway.schemas.routing_rules import RollBack

_PERCENTILE = 0.95
# Findings that one of two models calls positive: with fewer, kappa is about single images.
_LEAST_POSITIVE = 10


class CanaryReading(NamedTuple):
    """Outcome of one image."""

    failed: bool = False
    not_applicable: bool = False
    infer_ms: float = 0.0


class VerdictPair(NamedTuple):
    """Verdicts on one finding: the one that is shown, and the shadow model's."""

    shown: bool
    shadow: bool


class CanaryReadings(StoredDocument):
    """Latest readings of a canary on all gateways, the oldest first."""

    schema_: Literal["radstream.canary/1"] = Field("radstream.canary/1", alias="schema")
    readings: tuple[CanaryReading, ...] = ()
    pairs: dict[str, tuple[VerdictPair, ...]] = Field({}, description="Verdicts by label.")
    swap: str = Field("", description="Random: to a swap, equal bytes are its own.")

    def with_later(self, later: CanaryReadings, most: int) -> CanaryReadings:
        """Return the latest of these and later ones."""
        labels = self.pairs.keys() | later.pairs.keys()
        return CanaryReadings(
            readings=(*self.readings, *later.readings)[-most:],
            pairs={
                label: (*self.pairs.get(label, ()), *later.pairs.get(label, ()))[-most:]
                for label in sorted(labels)
            },
        )


def breach(limits: RollBack, found: CanaryReadings) -> str | None:
    """Return the limit that a canary is beyond, in words; None while it is within all."""
    n = limits.readings
    if len(found.readings) == n:
        failed = 100 * sum(each.failed for each in found.readings) / n
        if limits.failed_percent is not None and failed > limits.failed_percent:
            return f"{failed:.1f} percent of {n} readings failed"
        unfit = 100 * sum(each.not_applicable for each in found.readings) / n
        if limits.not_applicable_percent is not None and unfit > limits.not_applicable_percent:
            return f"not applicable to {unfit:.1f} percent of {n} images"
        times = sorted(each.infer_ms for each in found.readings if not each.failed)
        slow_ms = times[math.ceil(_PERCENTILE * len(times)) - 1] if times else 0.0
        if limits.infer_ms is not None and slow_ms > limits.infer_ms:
            return f"inference took {slow_ms:.1f} ms, the 95th percentile of {len(times)}"
    return _disagreement(limits, found)


def _disagreement(limits: RollBack, found: CanaryReadings) -> str | None:
    least = limits.kappa
    for label, pairs in found.pairs.items():
        if least is None or len(pairs) < limits.readings:
            continue
        cells = Counter(pairs)
        verdicts = Verdicts(
            cells[VerdictPair(True, True)],
            cells[VerdictPair(True, False)],
            cells[VerdictPair(False, True)],
            cells[VerdictPair(False, False)],
        )
        kappa = verdicts.kappa()
        if verdicts.n - verdicts.both_negative < _LEAST_POSITIVE:
            continue
        if kappa is not None and kappa.value < least:
            return f"kappa {kappa.value:.3f} of {verdicts.n} findings of {label}"
    return None
