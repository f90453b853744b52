"""Watch over canaries: their latest readings on all gateways, held to limits of the document.

A gateway notes its readings in memory and adds them, every few seconds, to those of all gateways in
the store; whichever gateway adds some holds what stands there then to the limits. So the judgement
depends on no gateway's part of the studies.

Not on the minutes of `gateway.monitoring`: these are of all tenants, come three minutes later, and
know nothing of a reading's mode, its time, or its agreement with another.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.errors import StoreUnavailableError
from gateway.routing.canary import canary_key
from gateway.routing.canary_readings import (
    CanaryReading,
    CanaryReadings,
    VerdictPair,
    breach,
)
from gateway.storage.documents import read_or_renew, swap_document
from gateway.storage.layout import CANARIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.routing.in_force import Routes, Routing
    from gateway.schemas.routing_rules import RollBack, RuleModel
    from gateway.storage.protocol import ObjectStore

# Other gateways swap the readings in between, each once in a while.
_MOST_SWAPS = 10


@dataclass(slots=True)
class _Watched:
    """A canary, and what this gateway has not added yet to the readings of all."""

    model: RuleModel
    limits: RollBack
    new: CanaryReadings = field(default_factory=CanaryReadings)


class CanaryWatch:
    """The canaries of the document in force that may be rolled back.

    Parameters
    ----------
    routing
        Has the document.
    objects
        The store that all gateways share.

    Attributes
    ----------
    on_many
        Called once there are as many new readings as are held to the limits.
    """

    def __init__(self, routing: Routing, objects: ObjectStore) -> None:
        self.on_many: Callable[[], None] = _nothing
        self._rolled_back = routing.rolled_back
        self._objects = objects
        self._watched: dict[str, _Watched] = {}
        self._take(routing.routes)
        routing.follow(self._take)

    @property
    def canaries(self) -> tuple[RuleModel, ...]:
        """The models whose canaries are watched, rolled back or not."""
        return tuple(each.model for each in self._watched.values())

    def read(self, name: str, version: str, *, not_applicable: bool, infer_ms: float) -> None:
        """Note a reading by a canary."""
        self._note(name, version, CanaryReading(False, not_applicable, infer_ms))

    def failed(self, name: str, version: str | None) -> None:
        """Note that a canary did not read an image."""
        self._note(name, version, CanaryReading(failed=True))

    def compared(
        self,
        shadow: tuple[str, str],
        shown: tuple[str, str],
        label: str,
        verdicts: tuple[bool, bool],
    ) -> None:
        """Note a finding of a shadow model beside the one that is shown.

        Parameters
        ----------
        verdicts
            The one that is shown, and the shadow model's.
        """
        for each in self._of(*shadow):
            if (each.model.name, each.model.version) == shown:
                self._add(each, CanaryReadings(pairs={label: (VerdictPair(*verdicts),)}))

    async def breaches(self) -> list[tuple[RuleModel, str]]:
        """Return the canaries that are beyond a limit, each with it, once what is new is added.

        Raises
        ------
        StoreUnavailableError
            New readings are kept.
        """
        found = []
        for key, watched in list(self._watched.items()):
            if key in self._rolled_back or watched.new == CanaryReadings():
                continue
            reason = breach(watched.limits, await self._added(key, watched))
            if reason is not None:
                found.append((watched.model, reason))
        return found

    async def _added(self, key: str, watched: _Watched) -> CanaryReadings:
        """Return the latest readings of all gateways, with those of this one."""
        place, most = f"{CANARIES}{key}.json", watched.limits.readings
        for _ in range(_MOST_SWAPS):
            stored, tag = await read_or_renew(self._objects, CanaryReadings, place)
            before = stored or CanaryReadings()
            new, watched.new = watched.new, CanaryReadings()
            found = before.with_later(new, most).model_copy(update={"swap": secrets.token_hex(8)})
            try:
                swapped = await swap_document(self._objects, place, found, tag)
            except BaseException:
                watched.new = new.with_later(watched.new, most)
                raise
            if swapped is not None:
                return found
            watched.new = new.with_later(watched.new, most)
        raise StoreUnavailableError("the readings of a canary are always being changed")

    def _note(self, name: str, version: str | None, reading: CanaryReading) -> None:
        for each in self._of(name, version):
            self._add(each, CanaryReadings(readings=(reading,)))

    def _add(self, watched: _Watched, later: CanaryReadings) -> None:
        watched.new = new = watched.new.with_later(later, watched.limits.readings)
        if max(map(len, (new.readings, *new.pairs.values()))) >= watched.limits.readings:
            self.on_many()

    def _of(self, name: str, version: str | None) -> Iterator[_Watched]:
        """Yield the canaries of this version that are in force."""
        for key, each in self._watched.items():
            canary = each.model.canary
            if canary is None or key in self._rolled_back:
                continue
            if (canary.name or each.model.name, canary.version) == (name, version):
                yield each

    def _take(self, routes: Routes) -> None:
        """Watch the canaries of a document; those that it had before keep what is new of them."""
        before, document = self._watched, routes.document
        parts = [*document.rules, *([document.otherwise] if document.otherwise else [])]
        models = {canary_key(model): model for part in parts for model in part.models}
        self._watched = {
            key: before.get(key) or _Watched(model, model.canary.roll_back)
            for key, model in models.items()
            if model.canary is not None and model.canary.roll_back is not None
        }


def _nothing() -> None:
    """Do nothing."""
