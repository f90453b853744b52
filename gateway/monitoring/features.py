"""Features of readings that are watched, each in bins that every gateway has alike.

Bins are fixed, so that counts of several gateways and minutes add up. A feature is ordered, such as
the mean grey of the model's input, or nominal, such as the view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from gateway.schemas.reading_event import ReadingEvent

UNKNOWN = "unknown"
PROBABILITY_BINS = 50
_UNIT_BINS = 64
_BINS_AN_OCTAVE = 4
_DEVICE_BINS = 256
_HOURS_A_BIN = 4


@dataclass(frozen=True, slots=True)
class Feature:
    """A property of a reading's picture.

    Parameters
    ----------
    bin_of
        Returns the bin of a value that is known.
    is_ordered
        True if bins are whole numbers in an order that means something.
    value_of
        Returns the value that an event has; None where it has none.
    """

    bin_of: Callable[[Any], int | str]
    is_ordered: bool
    value_of: Callable[[ReadingEvent], Any]


def unit_bin(value: float, bins: int = _UNIT_BINS) -> int:
    """Return the bin of a value from 0 to 1."""
    return min(int(value * bins), bins - 1)


def _octave_bin(value: float) -> int:
    """Return the bin of a value of 0 and more: four for each doubling."""
    return int(math.log2(1 + value) * _BINS_AN_OCTAVE)


def _device_bin(device: str) -> str:
    """Return one of so many bins: more devices than a store should have to name."""
    return f"{int(device[:8], 16) % _DEVICE_BINS:02x}"


def _hour_bin(hour: int) -> str:
    first = hour - hour % _HOURS_A_BIN
    return f"{first:02}-{first + _HOURS_A_BIN - 1:02}"


def _size(event: ReadingEvent) -> float | None:
    if event.rows is None or event.columns is None:
        return None
    return math.sqrt(event.rows * event.columns)


FEATURES: Mapping[str, Feature] = {
    "mean": Feature(unit_bin, is_ordered=True, value_of=lambda event: event.mean),
    # A deviation is 0.5 at most.
    "deviation": Feature(unit_bin, is_ordered=True, value_of=lambda event: 2 * event.deviation),
    "entropy": Feature(unit_bin, is_ordered=True, value_of=lambda event: event.entropy),
    "saturation": Feature(unit_bin, is_ordered=True, value_of=lambda event: event.saturation),
    "border": Feature(unit_bin, is_ordered=True, value_of=lambda event: event.border),
    "size": Feature(_octave_bin, is_ordered=True, value_of=_size),
    "exposure_index": Feature(
        _octave_bin, is_ordered=True, value_of=lambda event: event.exposure_index
    ),
    "device": Feature(_device_bin, is_ordered=False, value_of=lambda event: event.device),
    "view": Feature(str, is_ordered=False, value_of=lambda event: event.view),
    "age_band": Feature(str, is_ordered=False, value_of=lambda event: event.age_band),
    "sex": Feature(str, is_ordered=False, value_of=lambda event: event.sex),
    "hour": Feature(_hour_bin, is_ordered=False, value_of=lambda event: event.hour),
}
"""By name, as metrics and exports have it."""


def bins_of(event: ReadingEvent) -> Iterator[tuple[str, str]]:
    """Yield the name of each feature with its bin in an event.

    An ordered feature that is not known is left out: it has no place in the order.
    """
    for name, feature in FEATURES.items():
        value = feature.value_of(event)
        if value is not None:
            yield name, str(feature.bin_of(value))
        elif not feature.is_ordered:
            yield name, UNKNOWN
