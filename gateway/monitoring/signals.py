"""Signals of drift: shares of readings that have changed, and distances from the reference."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from gateway.monitoring.counts import FindingCounts
from gateway.monitoring.cusum import LIMIT, Evidence, ShareWatch
from gateway.monitoring.distances import nominal_distance, ordered_distance
from gateway.monitoring.documents import Signal
from gateway.monitoring.features import FEATURES

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from gateway.monitoring.counts import ReadingCounts
    from gateway.monitoring.distances import Distance
    from gateway.monitoring.documents import ModelHealth

LEAST_READINGS = 100
"""Readings of which a feature must be known before anything is said of it."""
NOMINAL_LIMIT = 0.10
"""Lower bound of a Hellinger distance that makes an alarm."""
ORDERED_LIMIT = 0.20
"""Lower bound of an earth mover's distance, in standard deviations, that makes an alarm."""
# Of a reference, at either end of an ordered feature, beyond which a reading is unusual.
_TAIL = 0.01

NOT_APPLICABLE = "not_applicable"


def evidence_after(health: ModelHealth, counts: ReadingCounts) -> Iterator[tuple[str, Evidence]]:
    """Yield the evidence of a change of each share that is watched, after these counts."""
    for name, watch, found, n in _shares(health.reference, counts):
        yield name, watch.after(health.evidence.get(name, Evidence()), found, n)


def _shares(
    reference: ReadingCounts, counts: ReadingCounts
) -> Iterator[tuple[str, ShareWatch, int, int]]:
    """Yield the name of each share, its watch, and its readings among so many in these counts."""
    share = (reference.not_applicable, reference.readings)
    yield NOT_APPLICABLE, ShareWatch(share), counts.not_applicable, counts.readings
    for label, usual in reference.findings.items():
        if usual.verdicts >= LEAST_READINGS:
            now = counts.findings.get(label, FindingCounts())
            positive = ShareWatch((usual.positive, usual.verdicts))
            yield f"positive/{label}", positive, now.positive, now.verdicts
            near = ShareWatch((usual.near, usual.verdicts))
            yield f"near/{label}", near, now.near, now.verdicts
    for name, feature in FEATURES.items():
        known = reference.features.get(name, {})
        if feature.is_ordered and sum(known.values()) >= LEAST_READINGS:
            usual_bins = _usual(known)
            now_bins = counts.features.get(name, {})
            watch = ShareWatch((_outside(known, usual_bins), sum(known.values())), falls=False)
            yield f"unusual/{name}", watch, _outside(now_bins, usual_bins), sum(now_bins.values())


def _usual(bins: Mapping[str, int]) -> range:
    """Return the bins that hold all but a hundredth of the readings at either end."""
    tail = _TAIL * sum(bins.values())
    places = sorted(map(int, bins))
    low, high = (_beyond(bins, order, tail) for order in (places, places[::-1]))
    return range(low, high + 1)


def _beyond(bins: Mapping[str, int], places: list[int], tail: float) -> int:
    """Return the first bin in this order that is not all in the tail."""
    passed = 0
    for place in places:
        passed += bins[str(place)]
        if passed > tail:
            return place
    return places[-1]


def _outside(bins: Mapping[str, int], usual: range) -> int:
    return sum(count for place, count in bins.items() if int(place) not in usual)


def share_signals(
    health: ModelHealth, evidence: Mapping[str, Evidence], minute: dt.datetime, *, n: int
) -> dict[str, Signal]:
    """Return the state of each share.

    Parameters
    ----------
    n
        Number of readings after the reference.
    """
    found: dict[str, Signal] = {}
    for name, each in evidence.items():
        value = max(each.rise, each.fall)
        before = health.signals[name].alarm_since if name in health.signals else None
        # An alarm lasts until its evidence is gone again.
        since = (before or minute) if value >= LIMIT else (before if value > 0 else None)
        found[name] = Signal(value=value, limit=LIMIT, n=n, alarm_since=since)
    return found


# --- distances ------------------------------------------------------------------------------------


def distance_signals(
    health: ModelHealth, window: ReadingCounts, minute: dt.datetime
) -> dict[str, Signal]:
    """Return the state of each distance of a window; none where too little is known."""
    found = {}
    for name, is_ordered, reference, now in _histograms(health.reference, window):
        if min(sum(reference.values()), sum(now.values())) < LEAST_READINGS:
            continue
        limit = ORDERED_LIMIT if is_ordered else NOMINAL_LIMIT
        measure = ordered_distance if is_ordered else nominal_distance
        seed = zlib.crc32(f"{health.model} {health.version} {name} {minute}".encode())
        distance = measure(reference, now, seed=seed)
        before = health.signals[name].alarm_since if name in health.signals else None
        found[name] = _signal(distance, limit, before or minute)
    return found


def _signal(distance: Distance, limit: float, since: dt.datetime) -> Signal:
    return Signal(
        value=distance.value,
        low=distance.low,
        high=distance.high,
        limit=limit,
        n=distance.n,
        alarm_since=since if distance.low > limit else None,
    )


def _histograms(
    reference: ReadingCounts, window: ReadingCounts
) -> Iterator[tuple[str, bool, Mapping[str, int], Mapping[str, int]]]:
    """Yield each histogram's name, whether it is ordered, and its counts in both."""
    for name, feature in FEATURES.items():
        yield (
            name,
            feature.is_ordered,
            reference.features.get(name, {}),
            window.features.get(name, {}),
        )
    for label, counts in reference.findings.items():
        now = window.findings.get(label, FindingCounts())
        yield f"probability/{label}", True, counts.probability, now.probability
