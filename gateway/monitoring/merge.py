"""Merging of all gateways' minutes into the health of each model version.

One gateway at a time merges, under a claim; each takes part in turn should another end. The claim
saves work alone: a model's health is changed by compare-and-swap and says up to which minute it
has been merged, so that a minute counts once.

``monitoring/minutes/claim.json``
    The claim.
``monitoring/models/{model}/{version}.json``
    Health of a model version.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

import structlog

from gateway.errors import ObjectNotFoundError, UnreadableDocumentError
from gateway.monitoring.counts import ReadingCounts, merged
from gateway.monitoring.documents import ModelHealth
from gateway.monitoring.health import REFERENCE_READINGS, advanced
from gateway.monitoring.minutes import minute_of, now
from gateway.monitoring.silences import health_key
from gateway.runtime.concurrency import together
from gateway.storage.documents import read_document, read_or_none, read_or_renew, swap_document
from gateway.storage.layout import MINUTES
from gateway.work.documents import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gateway.monitoring.minutes import Minute, MinuteCounts
    from gateway.monitoring.silences import Silences
    from gateway.observability.metrics.monitoring import MonitoringMetrics
    from gateway.storage.protocol import ObjectStore
    from gateway.work.claims import Claims

log = structlog.get_logger()

CLAIM = f"{MINUTES}claim.json"
GRACE = dt.timedelta(seconds=120)
"""Time after a minute's end in which gateways write their counts of it."""


class HealthMerge:
    """The merging of minutes, and the stop rules that are held to what comes of it.

    Parameters
    ----------
    objects
        The store.
    minutes, claims
        Of this gateway.
    metrics
        Told of readings that are not counted.
    silences
        Holds the stop rules to the healths.
    reference_readings
        Number of a version's first readings that make its reference.
    clock
        Returns the time.
    """

    def __init__(
        self,
        objects: ObjectStore,
        minutes: MinuteCounts,
        claims: Claims,
        metrics: MonitoringMetrics,
        *,
        silences: Silences,
        reference_readings: int = REFERENCE_READINGS,
        clock: Callable[[], dt.datetime] = now,
    ) -> None:
        self._objects = objects
        self._minutes = minutes
        self._claims = claims
        self._metrics = metrics
        self._silences = silences
        self._reference_readings = reference_readings
        self._clock = clock

    async def sweep(self) -> None:
        """Write this gateway's minutes, and look at all healths.

        What is due is merged, and stop rules are held to it, unless another gateway does.
        """
        await self._minutes.write()
        merges = await self._claimed()
        if merges:
            await self._merge()
        await self._silences.refresh()
        if merges:
            await self._silences.enforce()

    async def _claimed(self) -> bool:
        """Return True if this gateway is to merge."""
        claim, tag = await read_or_renew(self._objects, Claim, CLAIM)
        if claim is not None and not await self._claims.is_over(CLAIM, claim):
            return False
        return await swap_document(self._objects, CLAIM, self._claims.new(), tag) is not None

    async def _merge(self) -> None:
        due: defaultdict[tuple[str, str], defaultdict[Minute, list[str]]]
        due = defaultdict(partial(defaultdict, list))
        until = self._clock() - GRACE - dt.timedelta(minutes=1)
        for key in await self._objects.keys(MINUTES):
            minute = minute_of(key)
            if minute is not None and minute.began <= until:
                due[minute.model, minute.version][minute].append(key)
        for (model, version), minutes in due.items():
            try:
                await self._merge_model(model, version, minutes)
            except UnreadableDocumentError:  # logged; the other models are merged
                continue

    async def _merge_model(
        self, model: str, version: str, minutes: Mapping[Minute, Sequence[str]]
    ) -> None:
        """Merge minutes of one model version, live ones in their order."""
        key = health_key(model, version)
        try:
            stored = await self._objects.read_tagged(key)
        except ObjectNotFoundError:
            tag, health = None, ModelHealth(model=model, version=version)
        else:
            tag, health = stored.tag, read_document(ModelHealth, key, stored.data)
        keys = [name for names in minutes.values() for name in names]
        late = 0
        for minute in sorted(minutes, key=attrgetter("began")):
            new = [each for each in minutes[minute] if each not in health.merged_keys]
            counts = merged([each for name in new if (each := await self._read(name)) is not None])
            if minute.run is not None:
                health = health.counted(minute.run, minute.began, counts)
            elif health.merged_until is not None and minute.began <= health.merged_until:
                late += counts.readings
            else:  # bootstrapping takes the processor for tens of milliseconds
                health = await asyncio.to_thread(
                    advanced,
                    *(health, minute.began, counts),
                    reference_readings=self._reference_readings,
                )
        changes = {"merged_keys": tuple(keys), "late_readings": health.late_readings + late}
        health = health.model_copy(update=changes)
        if await swap_document(self._objects, key, health, tag) is None:
            return  # another gateway was at it
        self._metrics.dropped.labels("late").inc(late)
        await together(self._objects.purge(each) for each in keys)

    async def _read(self, key: str) -> ReadingCounts | None:
        """Return a minute's counts; None where they cannot be read."""
        try:
            return await read_or_none(self._objects, ReadingCounts, key)
        except UnreadableDocumentError:  # logged
            return None
