"""Counts of readings by minute: one gateway's in memory, and all gateways' in the store.

``monitoring/minutes/{minute}/{model}.{version}.{token}.json``
    Counts of one gateway for one model version in one minute; the token is random.
``monitoring/minutes/{minute}/{model}.{version}.run-{run}.{token}.json``
    The same, of the readings of a run of `radstream accept`.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.errors import RadStreamError, log_fields
from gateway.monitoring.counts import Tally
from gateway.schemas.reading_event import label_name
from gateway.storage.documents import create_document
from gateway.storage.layout import MINUTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.observability.metrics.monitoring import MonitoringMetrics
    from gateway.schemas.reading_event import Event
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

_MINUTE = "%Y%m%dT%H%MZ"
_KEY = re.compile(
    r"(\d{8}T\d{4}Z)/([A-Za-z0-9_][A-Za-z0-9_.-]*)\.(\d+)\.(?:run-([0-9a-f]+)\.)?[0-9a-f]+\.json"
)
# Of a store that is away: three hours of five models.
_MOST_KEPT = 900


def now() -> dt.datetime:
    """Return the time, in UTC."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute of a model version, as a key names it.

    Parameters
    ----------
    began
        Its beginning, in UTC.
    model, version
        The model version.
    run
        Run of `radstream accept`; None of live readings.
    """

    began: dt.datetime
    model: str
    version: str
    run: str | None = None


def minute_key(minute: Minute, token: str) -> str:
    """Return the key of a minute's counts."""
    of_run = "" if minute.run is None else f"run-{minute.run}."
    name = f"{minute.model}.{minute.version}.{of_run}{token}"
    return f"{MINUTES}{minute.began:{_MINUTE}}/{name}.json"


def minute_of(key: str) -> Minute | None:
    """Return the minute that a key names; None for any other key."""
    found = _KEY.fullmatch(key.removeprefix(MINUTES))
    if found is None:
        return None
    try:
        began = dt.datetime.strptime(found[1], _MINUTE)  # noqa: DTZ007 - its Z
    except ValueError:
        return None
    return Minute(began.replace(tzinfo=dt.UTC), *found.group(2, 3, 4))


class MinuteCounts:
    """Counts of this gateway's readings, until they are in the store.

    Parameters
    ----------
    objects
        The store.
    metrics
        Told of readings that are not counted.
    clock
        Returns the time.
    """

    def __init__(
        self,
        objects: ObjectStore,
        metrics: MonitoringMetrics,
        clock: Callable[[], dt.datetime] = now,
    ) -> None:
        self._objects = objects
        self._metrics = metrics
        self._clock = clock
        self._tallies: dict[Minute, Tally] = {}

    def count(self, event: Event, run: str | None = None) -> None:
        """Count an event of a reading, in the minute that it is now; others are none of its own.

        Parameters
        ----------
        run
            Run of `radstream accept`, whose readings are counted apart; None of live ones.
        """
        if event.schema_ == "radstream.telemetry/2":
            self._tally(event.model, event.model_version, run).count(event)

    def fail(self, model: str, version: str) -> None:
        """Count an image that a model version did not read, by its own fault."""
        self._tally(model, version).fail()

    def judge(
        self, model: str, version: str, label: str, *, positive: bool, present: bool, by: int = 1
    ) -> None:
        """Count a judgement on a verdict of a model version; see `Tally.judge`."""
        tally = self._tally(model, version)
        tally.judge(label_name(label), positive=positive, present=present, by=by)

    def _tally(self, model: str, version: str, run: str | None = None) -> Tally:
        began = self._clock().replace(second=0, microsecond=0)
        minute = Minute(began, model, version, run)
        if minute not in self._tallies and len(self._tallies) >= _MOST_KEPT:
            oldest = self._tallies.pop(next(iter(self._tallies)))
            self._metrics.dropped.labels("store").inc(oldest.readings)
        return self._tallies.setdefault(minute, Tally())

    async def write(self, *, whole_only: bool = True) -> None:
        """Write the minutes that are over, or all; what the store does not take is kept.

        Parameters
        ----------
        whole_only
            False for all: no further reading comes.
        """
        current = self._clock().replace(second=0, microsecond=0)
        for minute in list(self._tallies):
            if whole_only and minute.began >= current:
                continue
            tally = self._tallies.pop(minute)
            try:
                key = minute_key(minute, secrets.token_hex(8))
                await create_document(self._objects, key, tally.counts())
            except RadStreamError as error:
                self._tallies.setdefault(minute, tally)
                log.warning("monitoring.minute_not_written", **log_fields(error))
                return
