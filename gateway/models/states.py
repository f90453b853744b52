"""The states of all model versions: each change is logged, counted and dated."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import structlog

from gateway.models.selection import ModelState, State, by_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.models.placement import Key
    from gateway.observability.metrics import Metrics

log = structlog.get_logger()


class ModelStates:
    """A table of model versions and how they stand."""

    def __init__(self, metrics: Metrics) -> None:
        self._ready = metrics.triton.model_ready
        self._states: dict[Key, ModelState] = {}
        self._lost_at: dict[Key, float] = {}
        self._looked = asyncio.Event()

    def get(self, key: Key) -> ModelState | None:
        """Return the state of a model version, or None for one that is not in the repository."""
        return self._states.get(key)

    def all(self) -> Sequence[ModelState]:
        """Return the state of every model version, by name and version."""
        return [self._states[key] for key in sorted(self._states, key=by_version)]

    def is_ready(self, key: Key) -> bool:
        """Return True if the model version may be used now."""
        state = self._states.get(key)
        return state is not None and state.state is State.READY

    def lost_for_s(self, key: Key) -> float:
        """Return the seconds since the model version was last found dead; infinite if never."""
        return time.monotonic() - self._lost_at.get(key, -math.inf)

    def note(self, state: ModelState) -> None:
        """Enter a state in the place of the one before."""
        key = state.name, state.version
        before = self._states.get(key)
        self._states[key] = state
        self._ready.labels(*key).set(state.state is State.READY)
        if before is not None and before.state is State.READY is not state.state:
            self._lost_at[key] = time.monotonic()
        if before is None or before.state is not state.state:
            tell = log.info if state.state is State.READY else log.warning
            tell(
                f"model.{state.state}",
                model=state.name,
                version=state.version,
                reason=state.reason or None,
            )

    def drop(self, key: Key) -> None:
        """Strike out a model version that is gone from the repository."""
        del self._states[key]
        self._ready.remove(*key)
        self._lost_at.pop(key, None)
        log.info("model.gone", model=key[0], version=key[1])

    def lose_ready(self, reason: str) -> None:
        """Enter every usable model version as unavailable."""
        for state in self.all():
            if state.state is State.READY:
                self.note(
                    ModelState(state.name, state.version, State.UNAVAILABLE, reason, state.served)
                )

    def end_look(self) -> None:
        """Wake all who wait for the end of a look at the repository."""
        self._looked.set()
        self._looked = asyncio.Event()

    async def wait_for_look(self) -> None:
        """Wait until the next look at the repository has ended."""
        await self._looked.wait()
