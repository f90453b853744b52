"""The models that may be used: those whose contract and golden image hold, watched all the time."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import structlog

from gateway.errors import (
    BackendDiedError,
    ContractError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
    RadStreamError,
)
from gateway.models.contracts import read_contract
from gateway.models.golden import try_golden
from gateway.models.placement import collect_ensembles, placements_of
from gateway.models.recovery import Recovery
from gateway.models.selection import UNLOADED, ModelState, State, accepting, by_version
from gateway.runtime.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from gateway.models.placement import Key
    from gateway.models.served_model import Ensemble, ServedModel
    from gateway.observability.metrics import Metrics
    from gateway.schemas.metadata import StudyMetadata
    from gateway.triton.protocol import InferenceServer, ModelConfig, RepositoryEntry, TritonHost

log = structlog.get_logger()


_BEING_LOADED = "being loaded"
# A model that is loaded and has answered nothing for so long is loaded anew.
_SILENT_S = 15.0
# What `/readyz` says is at most so old. A study that was sent upon it may come after its model was
# found dead, and is answered all the same.
_SAID_READY_FOR_S = 1.0
# Of a study's time, what is kept for its second try and for the answer that it is too late.
_KEPT_S = 2.0


class ModelRegistry:
    """All model versions in Triton's repository, and the choice among them.

    Parameters
    ----------
    server
        Where the models are.
    metrics
        Told of each model's readiness.
    refresh_s
        Seconds between two looks at the repository while all is well.
    probe_timeout_s
        Seconds that one question may take.
    use_ensembles
        Whether pictures become tensors in Triton, where a model has ensembles for it.
    host
        What Triton runs in; None where it cannot be started anew from here.
    restart_after_s
        Seconds without an answer of any model until Triton is started anew.
    waiting_limit
        Frames that may wait at once for a model to be reloaded. Their studies keep their places
        among those at work, of which the studies of a healthy model need some.
    """

    def __init__(
        self,
        server: InferenceServer,
        metrics: Metrics,
        *,
        refresh_s: float,
        probe_timeout_s: float,
        use_ensembles: bool = False,
        host: TritonHost | None = None,
        restart_after_s: float = 60.0,
        waiting_limit: int = 32,
    ) -> None:
        self._server = server
        self._metrics = metrics
        self._refresh_s = refresh_s
        self._probe_timeout_s = probe_timeout_s
        self._use_ensembles = use_ensembles
        self._recovery = Recovery(
            server, host, metrics, on_reloaded=self.doubt, restart_after_s=restart_after_s
        )
        self._states: dict[Key, ModelState] = {}
        self._names: frozenset[str] = frozenset()
        self._silent_since: dict[Key, float] = {}
        self._reachable = False
        metrics.triton.circuit_open.set(1)
        self._answered_at: dict[Key, float] = {}
        self._lost_at: dict[Key, float] = {}
        self._died_at: dict[str, float] = {}
        self._waiting = 0
        self._waiting_limit = waiting_limit
        self._looked = asyncio.Event()
        self._doubted = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked_at = -math.inf

    def states(self) -> Sequence[ModelState]:
        """Every model version, by name and version."""
        return [self._states[key] for key in sorted(self._states, key=by_version)]

    def ready(self) -> bool:
        """Return True if Triton answers and one usable model at the least does.

        One that is sick takes nothing from the others: its own studies are told to come again.
        """
        return self._reachable and State.READY in self._standing()

    def _standing(self) -> set[State]:
        """Return the state of the models whose contract holds or held."""
        return {state.state for state in self._states.values() if state.served is not None}

    def _whole(self) -> bool:
        """Return True if every model is ready that was."""
        return self._reachable and self._standing() == {State.READY}

    def select(self, metadata: StudyMetadata) -> ServedModel:
        """The model that reads such a study.

        The newest version of the accepting model with the highest priority, unless the metadata
        name another.

        Raises
        ------
        UnknownModelError
            The metadata name a model that is not served.
        NoModelAcceptsError
            No contract takes the modality, body part and view.
        InvalidMetadataError
            There is no view, and the model was made for some views only.
        InferenceUnavailableError
            The model is not ready, or none is.
        """
        return self._ready(accepting(self.states(), metadata))

    def ask(self) -> None:
        """Nothing, where studies can be read: what is to be known before anything is done for one.

        Raises
        ------
        InferenceUnavailableError
            Triton does not answer. It is asked again all the time; see `watch`.
        """
        if not self._reachable:
            raise InferenceUnavailableError("Triton does not answer")

    def answered(self, model: ServedModel) -> None:
        """Note that the model read a study just now."""
        self._answered_at[model.name, model.version] = time.monotonic()

    def doubt(self) -> None:
        """Look at the repository now: a model did not answer a study."""
        self._doubted.set()

    def failed(self, model: ServedModel, error: RadStreamError, began: float) -> None:
        """Note that the model did not answer a study.

        A backend that died is proof enough for a reload: Triton may give the studies to the dead
        instance and the golden images to the living one, for as long as both come in turn.

        Parameters
        ----------
        began
            When Triton was asked, by the monotonic clock.
        """
        if isinstance(error, BackendDiedError):
            self._mend(model.name, model.version, error, began)
        self.doubt()

    async def outlast_reload(
        self, model: ServedModel, error: InferenceUnavailableError, deadline: Deadline
    ) -> None:
        """Wait until the model is proved again that did not answer a study.

        All who wait share one reload, which goes on without them. It returns at once where the
        model is ready, as it was reloaded meanwhile, and where none is reloaded: then nobody knows
        of a dead backend, and the server may be away for long.

        Raises
        ------
        InferenceUnavailableError
            The error given: there is no time for a second try, too many wait already, or the
            model that came back is another.
        """
        key = model.name, model.version
        if not (isinstance(error, BackendDiedError) or self._recovery.names()):
            return
        if self._waiting >= self._waiting_limit and not self._is_ready(key):
            raise error
        self._waiting += 1
        try:
            async with asyncio.timeout(max(0.0, deadline.remaining_s() - _KEPT_S)):
                while (state := self._states.get(key)) is not None and state.sick:
                    await self._looked.wait()
        except TimeoutError:
            raise error from None
        finally:
            self._waiting -= 1
        if state is None or state.state is not State.READY or state.served != model:
            raise error

    async def outlast_loss(
        self, metadata: StudyMetadata, error: InferenceUnavailableError, deadline: Deadline
    ) -> None:
        """Wait for the model that reads such a study, where it was found dead this moment.

        Raises
        ------
        InferenceUnavailableError
            As `outlast_reload`, and where it has been known for longer that the model is dead.
        RadStreamError
            As `select`.
        """
        state = accepting(self.states(), metadata)
        lost_at = self._lost_at.get((state.name, state.version), -math.inf)
        just_lost = time.monotonic() - lost_at <= _SAID_READY_FOR_S
        if state.served is None or not (just_lost and self._recovery.names()):
            raise error
        await self.outlast_reload(state.served, error, deadline)

    async def watch(self) -> NoReturn:
        """Look at the repository for ever, and bring back what does not answer."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._recovery.run())
            await self._keep_looking()
        raise AssertionError  # for the type checker: it looks for ever

    async def _keep_looking(self) -> NoReturn:
        """Look at the repository for ever: at once when in doubt, often while anything is amiss."""
        while True:
            await self.refresh()
            pause_s = self._refresh_s if self._whole() else min(self._refresh_s, 0.5)
            try:
                async with asyncio.timeout(pause_s):
                    await self._doubted.wait()
            except TimeoutError:
                pass
            self._doubted.clear()

    async def check(self) -> bool:
        """See `ready`; by a look at most a second old, so that Triton is asked once for many."""
        async with self._looking:
            if time.monotonic() - self._looked_at > _SAID_READY_FOR_S:
                await self._look()
            return self.ready()

    async def refresh(self) -> None:
        """Look once: take up new versions, drop gone ones, try every served one's golden image."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        began = time.monotonic()
        try:
            await self._take_stock()
        except RadStreamError as error:
            # Busy is not dead: a study may be answered while this question waits.
            if max(self._answered_at.values(), default=-math.inf) < began:
                self._lose_all(str(error))
        finally:
            self._looked_at = time.monotonic()
            self._looked.set()
            self._looked = asyncio.Event()
        self._recovery.watch_over(
            answering=self.ready(),
            reachable=self._reachable,
            sick=any(state.sick for state in self._states.values()),
        )

    async def _take_stock(self) -> None:
        index = await self._server.repository_index(deadline=self._deadline())
        configs = await self._configs(index)
        self._names = frozenset(entry.name for entry in index)
        self._reachable = True
        self._metrics.triton.circuit_open.set(0)
        placements, faults = placements_of(configs)
        ensembles = collect_ensembles(placements) if self._use_ensembles else {}
        models = [
            entry
            for entry in index
            if entry.version and (entry.name, entry.version) not in placements
        ]
        for entry in models:
            key = entry.name, entry.version
            if key in faults:
                self._note(ModelState(*key, State.REFUSED, faults[key]))
            else:
                self._note(await self._look_at(entry, configs.get(key), ensembles.get(key, {})))
        for gone in self._states.keys() - {(entry.name, entry.version) for entry in models}:
            self._drop(self._states.pop(gone))
        self._settle()

    def _settle(self) -> None:
        """Have no model reloaded any more that answers, or is out of service by a wish."""
        sick = {state.name for state in self._states.values() if state.sick}
        models = {state.name for state in self._states.values()}
        for name in self._recovery.names():
            # A graph of an ensemble is proved with its model.
            concerned = name in sick if name in models else bool(sick)
            if not concerned and not self._recovery.at_work(name):
                self._recovery.forget(name)

    async def _configs(self, index: Sequence[RepositoryEntry]) -> dict[Key, ModelConfig]:
        """The configurations of the models that are loaded."""
        configs = {}
        for entry in index:
            # A model may be unloaded between the index and this question.
            with contextlib.suppress(InferenceUnavailableError):
                if entry.ready:
                    configs[entry.name, entry.version] = await self._server.model_config(
                        entry.name, entry.version, deadline=self._deadline()
                    )
        return configs

    async def _look_at(
        self,
        entry: RepositoryEntry,
        config: ModelConfig | None,
        ensembles: Mapping[str, Ensemble],
    ) -> ModelState:
        key = entry.name, entry.version
        known = self._states.get(key)
        served = known.served if known else None
        if config is None or self._recovery.at_work(entry.name):
            return self._unproved(entry, served)
        began = time.monotonic()
        try:
            served = replace(read_contract(entry.name, entry.version, config), ensembles=ensembles)
            # Even while studies are answered: other weights may have taken the version's place.
            await try_golden(
                self._server, served, self._probe_timeout_s, instances=config.instances
            )
        except (ContractError, InferenceFailedError) as error:
            return ModelState(entry.name, entry.version, State.REFUSED, error.reason)
        except BackendDiedError as error:
            reason = error.reason
            self._mend(entry.name, entry.version, error, began)
        except (InferenceOverloadedError, DeadlineExceededError) as error:
            # Busy is not dead: studies are answered while the golden image waits.
            if known and served and self._answered_lately(served):
                return known
            reason = str(error)
        except RadStreamError as error:
            reason = str(error)
        else:
            dead = self._died_at.get(entry.name, -math.inf) >= began
            if not dead and not self._recovery.at_work(entry.name):
                self._silent_since.pop(key, None)
                return ModelState(entry.name, entry.version, State.READY, served=served)
            reason = _BEING_LOADED  # a study met a dead backend meanwhile
        if time.monotonic() - self._silent_since.setdefault(key, began) > _SILENT_S:
            self._recovery.report(entry.name, loaded=True)
        return ModelState(entry.name, entry.version, State.UNAVAILABLE, reason, served)

    def _unproved(self, entry: RepositoryEntry, served: ServedModel | None) -> ModelState:
        """A model that is not asked now, since it is not loaded or is about to be loaded anew."""
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
        known = self._states.get((served.name, served.version))
        answered_at = self._answered_at.get((served.name, served.version), -math.inf)
        return (
            known is not None
            and known.state is State.READY
            and known.served == served
            and time.monotonic() - answered_at < self._refresh_s
        )

    def _mend(self, name: str, version: str, error: BackendDiedError, began: float) -> None:
        """Have the model loaded anew: the server says ready, but a process of it is gone."""
        dead = _model_of(error.instance, self._names) or name
        if self._recovery.reloaded_since(dead, began):
            return  # the one that was asked is gone already
        if not self._recovery.at_work(dead):
            log.warning("model.backend_died", model=dead)
        self._recovery.report(dead, loaded=True)
        self._died_at[name] = time.monotonic()
        known = self._states.get((name, version))
        if known is not None and known.state is State.READY:
            self._note(replace(known, state=State.UNAVAILABLE, reason=error.reason))

    def _is_ready(self, key: Key) -> bool:
        state = self._states.get(key)
        return state is not None and state.state is State.READY

    def _ready(self, chosen: ModelState) -> ServedModel:
        if not self._reachable or chosen.state is not State.READY or chosen.served is None:
            raise InferenceUnavailableError(f"model {chosen.name} is not ready")
        return chosen.served

    def _note(self, state: ModelState) -> None:
        before = self._states.get((state.name, state.version))
        self._states[state.name, state.version] = state
        self._metrics.triton.model_ready.labels(state.name, state.version).set(
            state.state is State.READY
        )
        if before is not None and before.state is State.READY is not state.state:
            self._lost_at[state.name, state.version] = time.monotonic()
        if before is None or before.state is not state.state:
            tell = log.info if state.state is State.READY else log.warning
            tell(
                f"model.{state.state}",
                model=state.name,
                version=state.version,
                reason=state.reason or None,
            )

    def _drop(self, state: ModelState) -> None:
        self._metrics.triton.model_ready.remove(state.name, state.version)
        self._recovery.forget(state.name)
        self._silent_since.pop((state.name, state.version), None)
        self._lost_at.pop((state.name, state.version), None)
        self._died_at.pop(state.name, None)
        log.info("model.gone", model=state.name, version=state.version)

    def _lose_all(self, reason: str) -> None:
        if self._reachable:
            log.warning("triton.unreachable", reason=reason)
        self._reachable = False
        self._metrics.triton.circuit_open.set(1)
        for state in list(self._states.values()):
            if state.state is State.READY:
                self._note(
                    ModelState(state.name, state.version, State.UNAVAILABLE, reason, state.served)
                )

    def _deadline(self) -> Deadline:
        return Deadline.after(self._probe_timeout_s)


def _model_of(instance: str, names: Collection[str]) -> str | None:
    """Return the name of the model that Triton's instance is of: it ends in one number or two."""
    found = [name for name in names if re.fullmatch(rf"{re.escape(name)}(_\d+){{1,2}}", instance)]
    return max(found, key=len, default=None)
