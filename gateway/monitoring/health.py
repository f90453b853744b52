"""Health of one model version in its place: what it is sent and says now, against a reference.

Everything follows from merged counts in the order of their minutes, and from nothing else, so that
it is the same whichever gateways made the readings and whichever one looks at them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.monitoring.counts import ReadingCounts, merged
from gateway.monitoring.documents import Day, ModelHealth
from gateway.monitoring.signals import distance_signals, evidence_after, share_signals

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

REFERENCE_READINGS = 1000
"""Number of first readings that make the reference."""
_JUDGEMENTS = 200
BLOCKS = 2
BLOCK_READINGS = 250
"""Readings of a block; the latest blocks are a window, which is looked at when one is full."""
_DAYS = 400


def advanced(
    health: ModelHealth,
    minute: dt.datetime,
    counts: ReadingCounts,
    *,
    reference_readings: int = REFERENCE_READINGS,
) -> ModelHealth:
    """Return the health after one more minute, later than all before it.

    Parameters
    ----------
    counts
        Of all gateways in this minute.
    reference_readings
        Number of first readings that make the reference.
    """
    changes: dict[str, object] = {
        "merged_until": minute,
        "readings": health.readings + counts.readings,
        "days": _days(health.days, minute, counts),
        "truth": _truth(health.truth, counts),
    }
    block = merged((health.block, counts)).model_copy(update={"truth": {}})
    blocks = health.blocks
    is_full = block.readings + block.failed >= BLOCK_READINGS
    if is_full:
        blocks, block = (*blocks, block)[-BLOCKS:], ReadingCounts()
    changes |= {"blocks": blocks, "block": block}
    if health.reference_until is None:
        reference = merged((health.reference, counts))
        changes |= {"reference": reference, "reference_since": health.reference_since or minute}
        if reference.readings >= reference_readings:  # what is compared with it comes after it
            changes |= {"reference_until": minute, "blocks": (), "block": ReadingCounts()}
        return health.model_copy(update=changes)
    evidence = dict(evidence_after(health, counts))
    n = health.since_reference + counts.readings
    signals = {**health.signals, **share_signals(health, evidence, minute, n=n)}
    if is_full and len(blocks) == BLOCKS:
        signals |= distance_signals(health, merged(blocks), minute)
    changes |= {"evidence": evidence, "signals": signals, "since_reference": n}
    return health.model_copy(update=changes)


def _truth(before: tuple[ReadingCounts, ...], counts: ReadingCounts) -> tuple[ReadingCounts, ...]:
    """Return the latest judgements with those of one more minute."""
    if not counts.truth:
        return before
    *older, last = before or (ReadingCounts(),)
    if sum(each.judgements for each in last.truth.values()) >= _JUDGEMENTS:
        older, last = [last], ReadingCounts()
    return (*older[-1:], merged((last, ReadingCounts(truth=counts.truth))))


def _days(days: tuple[Day, ...], minute: dt.datetime, counts: ReadingCounts) -> tuple[Day, ...]:
    name = minute.date().isoformat()
    *before, last = days or (Day(day=name),)
    if last.day != name:
        before, last = [*before, last], Day(day=name)

    def summed(counted: Mapping[str, int], attribute: str) -> dict[str, int]:
        added = {label: getattr(each, attribute) for label, each in counts.findings.items()}
        return {
            label: counted.get(label, 0) + added.get(label, 0)
            for label in sorted({*counted, *added})
        }

    day = Day(
        day=name,
        readings=last.readings + counts.readings,
        not_applicable=last.not_applicable + counts.not_applicable,
        positive=summed(last.positive, "positive"),
        verdicts=summed(last.verdicts, "verdicts"),
    )
    return (*before, day)[-_DAYS:]
