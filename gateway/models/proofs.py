"""Proof of models: contract and golden image, and the studies that show one dead or alive."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from gateway.errors import (
    BackendDiedError,
    ContractError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceOverloadedError,
    RadStreamError,
)
from gateway.models.contracts import read_contract
from gateway.models.golden import try_golden
from gateway.models.selection import UNLOADED, ModelState, State

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gateway.models.placement import Key
    from gateway.models.recovery import Recovery
    from gateway.models.served_model import Ensemble, ServedModel
    from gateway.models.states import ModelStates
    from gateway.triton.protocol import InferenceServer, ModelConfig, RepositoryEntry

log = structlog.get_logger()

_BEING_LOADED = "being loaded"
# A model that is loaded and has answered nothing for so long is loaded anew.
_SILENT_S = 15.0


class Proofs:
    """The prover of models, which reports to the recovery those that are to be loaded anew.

    Parameters
    ----------
    server
        The server of the models.
    states
        The states of the models before.
    recovery
        Reloads what is reported.
    timeout_s
        Seconds that one question may take.
    fresh_s
        Seconds for which an answered study shows a model alive.
    """

    def __init__(
        self,
        server: InferenceServer,
        states: ModelStates,
        recovery: Recovery,
        *,
        timeout_s: float,
        fresh_s: float,
    ) -> None:
        self._server = server
        self._states = states
        self._recovery = recovery
        self._timeout_s = timeout_s
        self._fresh_s = fresh_s
        self._silent_since: dict[Key, float] = {}
        self._answered_at: dict[Key, float] = {}
        self._died_at: dict[str, float] = {}

    def answered(self, key: Key) -> None:
        """Note that the model version read a study just now."""
        self._answered_at[key] = time.monotonic()

    def answered_since(self, moment: float) -> bool:
        """Return True if any model read a study after this moment of the monotonic clock."""
        return max(self._answered_at.values(), default=-math.inf) >= moment

    def forget(self, key: Key) -> None:
        """Forget a model version that is gone from the repository."""
        self._silent_since.pop(key, None)
        self._died_at.pop(key[0], None)

    def mend(self, key: Key, error: BackendDiedError, began: float, names: Collection[str]) -> None:
        """Ask for a reload of the model: the server says ready, but a process of it is gone.

        Parameters
        ----------
        key
            The model version that did not answer.
        began
            Moment at which Triton was asked, by the monotonic clock.
        names
            Everything in the repository: the process may have been that of a graph beside it.
        """
        name, _ = key
        dead = _model_of(error.instance, names) or name
        if self._recovery.reloaded_since(dead, began):
            return  # the one that was asked is gone already
        if not self._recovery.at_work(dead):
            log.warning("model.backend_died", model=dead)
        self._recovery.report(dead, loaded=True)
        self._died_at[name] = time.monotonic()
        known = self._states.get(key)
        if known is not None and known.state is State.READY:
            self._states.note(replace(known, state=State.UNAVAILABLE, reason=error.reason))

    async def prove(
        self,
        entry: RepositoryEntry,
        config: ModelConfig | None,
        ensembles: Mapping[str, Ensemble],
        names: Collection[str],
    ) -> ModelState:
        """Return how a model version stands, by its contract and its golden image.

        Parameters
        ----------
        config
            Its configuration; None where it is not loaded.
        ensembles
            The ensembles that make tensors of pictures for it, by type of samples.
        names
            Everything in the repository.
        """
        key = entry.name, entry.version
        known = self._states.get(key)
        served = known.served if known else None
        if config is None or self._recovery.unloads(entry.name):
            return self._unproved(entry, served)
        began = time.monotonic()
        try:
            served = replace(read_contract(entry.name, entry.version, config), ensembles=ensembles)
            # Even while studies are answered: other weights may have taken the version's place.
            await try_golden(self._server, served, self._timeout_s, instances=config.instances)
        except (ContractError, InferenceFailedError) as error:
            return ModelState(entry.name, entry.version, State.REFUSED, error.reason)
        except BackendDiedError as error:
            reason = error.reason
            self.mend(key, error, began, names)
        except (InferenceOverloadedError, DeadlineExceededError) as error:
            # Busy is not dead: studies are answered while the golden image waits.
            if known and served and self._answered_lately(served):
                return known
            reason = str(error)
        except RadStreamError as error:
            reason = str(error)
        else:
            dead = self._died_at.get(entry.name, -math.inf) >= began
            if not dead and not self._recovery.unloads(entry.name):
                self._silent_since.pop(key, None)
                return ModelState(entry.name, entry.version, State.READY, served=served)
            reason = _BEING_LOADED  # a study met a dead backend meanwhile
        if time.monotonic() - self._silent_since.setdefault(key, began) > _SILENT_S:
            self._recovery.report(entry.name, loaded=True)
        return ModelState(entry.name, entry.version, State.UNAVAILABLE, reason, served)

    def _unproved(self, entry: RepositoryEntry, served: ServedModel | None) -> ModelState:
        """Return how a model stands that is not loaded, or is about to be loaded anew."""
        reason = entry.reason or "not loaded"
        self._silent_since.pop((entry.name, entry.version), None)
        if entry.ready or entry.in_transition or self._recovery.at_work(entry.name):
            reason = _BEING_LOADED
        elif reason != UNLOADED or self._recovery.left_unloaded(entry.name):
            reason = "not loaded" if reason == UNLOADED else reason
            self._recovery.report(entry.name, loaded=False)
        else:  # somebody's wish, which speaks against nobody's readiness
            served = None
        return ModelState(entry.name, entry.version, State.UNAVAILABLE, reason, served)

    def _answered_lately(self, served: ServedModel) -> bool:
        """Return True if studies show the model alive while the golden image queues with them."""
        key = served.name, served.version
        known = self._states.get(key)
        return (
            known is not None
            and known.state is State.READY
            and known.served == served
            and time.monotonic() - self._answered_at.get(key, -math.inf) < self._fresh_s
        )


def _model_of(instance: str, names: Collection[str]) -> str | None:
    """Return the name of the model that Triton's instance is of: it ends in one number or two."""
    found = [name for name in names if re.fullmatch(rf"{re.escape(name)}(_\d+){{1,2}}", instance)]
    return max(found, key=len, default=None)
