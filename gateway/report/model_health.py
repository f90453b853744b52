"""Drift of model versions from their reference."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from gateway.report.answers import NOT_ENOUGH, QueryResult
from gateway.report.questions import Question

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_DRIFT = Question(
    "drift",
    "Drift of models",
    "Each signal of each model version as it stands now: the distance of the latest readings from "
    "the reference with its bounds of 95 %, or the evidence that a share has changed. A signal is "
    "in alarm since the time given.",
    "",
)
_COLUMNS = [
    *("model", "version", "reference", "reference_readings", "signal"),
    *("value", "bounds", "limit", "n", "alarm_since"),
]


def drift(healths: Iterable[Mapping[str, Any]]) -> QueryResult:
    """Return the signals by version and name.

    Parameters
    ----------
    healths
        Of model versions, as `radstream health --format json` has them.
    """
    return QueryResult(_DRIFT, _COLUMNS, [row for each in healths for row in _rows(each)])


def _rows(health: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    reference = health["reference_source"], health["reference"]["readings"]
    version = health["model"], health["version"], *reference
    for name, signal in sorted(health["signals"].items()):
        low, high, since = signal["low"], signal["high"], signal["alarm_since"]
        yield (
            *version,
            name,
            f"{signal['value']:.3f}",
            "" if low is None else f"{low:.3f} to {high:.3f}",
            f"{signal['limit']:g}",
            signal["n"],
            "" if since is None else dt.datetime.fromisoformat(since),
        )
    if not health["signals"]:
        yield (*version, NOT_ENOUGH, *[""] * 5)
