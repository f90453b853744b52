"""Health of model versions in the store, and the versions that are silent by it.

A silent version reads on, and what it finds is kept, counted and told to telemetry; it is shown and
delivered nowhere. The fall stands in the version's health, which every gateway looks at: it holds
over restarts, until a person arms the version again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import GATEWAY, Act
from gateway.errors import (
    AuditUnavailableError,
    ObjectNotFoundError,
    StoreUnavailableError,
    UnknownModelError,
    UnreadableDocumentError,
)
from gateway.monitoring.documents import ModelHealth, Silence
from gateway.monitoring.stop_rules import broken
from gateway.schemas.audit import AuditAction, AuditChange, AuditOutcome
from gateway.storage.documents import read_document, read_or_none, swap_document
from gateway.storage.layout import MODELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.audit.trail import Audit
    from gateway.monitoring.documents import AcceptanceRun
    from gateway.observability.metrics.monitoring import MonitoringMetrics
    from gateway.schemas.stop_rules import StopRule
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

_OPERATION = "model: silence"
# Another gateway merges a minute in between, once in a sweep.
_MOST_SWAPS = 10


def health_key(model: str, version: str) -> str:
    """Return the key of a model version's health."""
    return f"{MODELS}{model}/{version}.json"


class Silences:
    """Health of all model versions as the store had it at the last look.

    Parameters
    ----------
    objects
        The store.
    stop_rules
        Returns the stop rules in force.
    audit, metrics
        Told of each fall; show the healths.
    """

    def __init__(
        self,
        objects: ObjectStore,
        stop_rules: Callable[[], Sequence[StopRule]],
        *,
        audit: Audit,
        metrics: MonitoringMetrics,
    ) -> None:
        self._objects = objects
        self._stop_rules = stop_rules
        self._audit = audit
        self._metrics = metrics
        self._known: dict[str, ModelHealth] | None = None
        self._broken: set[tuple[str, str, str]] = set()

    @property
    def healths(self) -> list[ModelHealth]:
        """The healths, by model and version."""
        return _ordered((self._known or {}).values())

    def broken(self, health: ModelHealth) -> list[tuple[StopRule, str]]:
        """Return the stop rules that a version is beyond, each with its cause."""
        found = broken(self._stop_rules(), health)
        return [(rule, cause) for rule, cause in found if cause is not None]

    async def is_silent(self, model: str, version: str) -> bool:
        """Return True if a version's findings are not to be shown.

        Raises
        ------
        StoreError
            The store has not answered since the start: nothing is shown that may be silent.
        """
        if self._known is None:
            await self.refresh()
        return self.is_known_silent(model, version)

    def is_known_silent(self, model: str, version: str) -> bool:
        """Return True if a version was silent at the last look."""
        health = self.known(model, version)
        return health is not None and health.silence is not None

    def known(self, model: str, version: str) -> ModelHealth | None:
        """Return the health of a version at the last look; None if it had none."""
        return (self._known or {}).get(health_key(model, version))

    async def refresh(self) -> None:
        """Look at the store, and show what it has.

        Raises
        ------
        StoreError
        """
        self._known = await _read(self._objects, self._known or {})
        self._show()

    async def enforce(self) -> None:
        """Silence each version that is beyond a stop rule which asks for it."""
        for health in self.healths:
            causes = self.broken(health)
            told = {(health.model, health.version, rule.name) for rule, _ in causes}
            for rule, cause in causes:
                if (health.model, health.version, rule.name) not in self._broken:
                    log.warning("stop_rule.broken", rule=rule.name, model=health.model, cause=cause)
            self._broken = {
                each for each in self._broken if each[:2] != (health.model, health.version)
            } | told
            if health.silence is None and any(rule.action == "silence" for rule, _ in causes):
                await self._silence(health.model, health.version)
        self._show()

    async def _silence(self, model: str, version: str) -> None:
        """Silence a version, unless a person or another gateway has changed its health since."""
        key = health_key(model, version)
        stored = await self._objects.read_tagged(key)
        health = read_document(ModelHealth, key, stored.data)
        causes = [each for each in self.broken(health) if each[0].action == "silence"]
        if health.silence is not None or not causes:
            return
        rule, cause = causes[0]
        silence = Silence(rule=rule.name, cause=cause, since=dt.datetime.now(dt.UTC))
        silent = health.model_copy(update={"silence": silence})
        if await swap_document(self._objects, key, silent, stored.tag) is None:
            return  # it is looked at again
        self._take(silent)
        log.warning("model.silenced", model=model, version=version, rule=rule.name, cause=cause)
        change = AuditChange(pointer=f"/models/{model}/{version}/silence", after=rule.name)
        act = Act(caller=GATEWAY, reason=cause, changes=(change,))
        with contextlib.suppress(AuditUnavailableError):  # told to the log and the metrics
            await self._audit.record(act, _OPERATION, AuditAction.UPDATE, AuditOutcome.SUCCESS)

    async def rearm(self, model: str, version: str) -> ModelHealth:
        """Let a version be heard again, its window begun anew; return its health of before.

        Raises
        ------
        UnknownModelError
            It has no health.
        StoreError
        """
        return await self._changed(model, version, ModelHealth.rearmed)

    async def renew_reference(self, model: str, version: str) -> ModelHealth:
        """Make the next readings of a version its reference; return its health of before.

        Raises
        ------
        UnknownModelError, StoreError
            See `rearm`.
        """
        return await self._changed(model, version, ModelHealth.renewed)

    async def refer(self, model: str, version: str, run: AcceptanceRun) -> ModelHealth:
        """Make an acceptance run the reference of a version; return its health of before.

        Raises
        ------
        UnknownModelError, StoreError
            See `rearm`.
        """
        # Of the latest minutes the store may have got more since the run was looked at.
        return await self._changed(
            model, version, lambda health: health.referred_to(health.acceptance(run.run) or run)
        )

    async def _changed(
        self, model: str, version: str, change: Callable[[ModelHealth], ModelHealth]
    ) -> ModelHealth:
        key = health_key(model, version)
        for _ in range(_MOST_SWAPS):
            try:
                stored = await self._objects.read_tagged(key)
            except ObjectNotFoundError:
                known = tuple(f"{each.model}:{each.version}" for each in self.healths)
                raise UnknownModelError(f"{model}:{version}", known, "on record") from None
            before = read_document(ModelHealth, key, stored.data)
            if await swap_document(self._objects, key, change(before), stored.tag):
                await self.refresh()
                return before
        raise StoreUnavailableError("the health of the model is always being changed")

    def _take(self, health: ModelHealth) -> None:
        if self._known is not None:
            self._known[health_key(health.model, health.version)] = health

    def _show(self) -> None:
        metrics = self._metrics
        for gauge in (metrics.signal, metrics.alarm, metrics.silent, metrics.broken_rule):
            gauge.clear()
        for health in self.healths:
            names = (health.model, health.version)
            metrics.readings.labels(*names).set(health.readings)
            metrics.reference_whole.labels(*names).set(health.reference_until is not None)
            metrics.silent.labels(*names).set(health.silence is not None)
            for name, signal in health.signals.items():
                metrics.signal.labels(*names, name).set(signal.compared / signal.limit)
                metrics.alarm.labels(*names, name).set(signal.alarm_since is not None)
            for rule, cause in broken(self._stop_rules(), health):
                metrics.broken_rule.labels(*names, rule.name).set(cause is not None)


async def healths(objects: ObjectStore) -> list[ModelHealth]:
    """Return the health of each model version that can be read, by model and version.

    Raises
    ------
    StoreError
    """
    return _ordered((await _read(objects, {})).values())


async def _read(objects: ObjectStore, before: dict[str, ModelHealth]) -> dict[str, ModelHealth]:
    """Return the healths by their keys; where one cannot be read, as it was before."""
    found = {}
    for key in await objects.keys(MODELS):
        try:
            health = await read_or_none(objects, ModelHealth, key)
        except UnreadableDocumentError:  # logged
            health = before.get(key)
        if health is not None:
            found[key] = health
    return found


def _ordered(found: Iterable[ModelHealth]) -> list[ModelHealth]:
    return sorted(found, key=lambda each: (each.model, int(each.version)))
