"""The models that may be used: those whose contract and golden image hold, watched all the time."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, NoReturn

import structlog

from gateway.errors import (
    BackendDiedError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceUnavailableError,
    ModelNotLoadedError,
    RadStreamError,
    UnknownModelError,
)
from gateway.models.inventory import take_inventory
from gateway.models.proofs import Proofs
from gateway.models.recovery import Recovery
from gateway.models.reload_waits import ReloadWaits
from gateway.models.selection import ModelState, State, accepting, ties
from gateway.models.states import ModelStates
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import PROBE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gateway.models.acceptances import Acceptances
    from gateway.models.recovery import OtherProcesses
    from gateway.models.served_model import ServedModel
    from gateway.observability.metrics import Metrics
    from gateway.schemas.metadata import StudyMetadata
    from gateway.triton.protocol import InferenceServer, TritonHost

log = structlog.get_logger()

# The greatest age of an answer of `/readyz`. A study that was sent upon it may come after its model
# was found dead, and is answered all the same.
_SAID_READY_FOR_S = 1.0
_AMISS_REFRESH_S = 0.5
_LOAD_S = 50.0


class ModelRegistry:
    """All model versions in Triton's repository, and the choice among them.

    Parameters
    ----------
    server
        The server of the models.
    metrics
        Told of each model's readiness.
    refresh_s
        Seconds between two looks at the repository while all is well.
    probe_timeout_s
        Seconds that one question may take.
    use_ensembles
        Pictures become tensors in Triton, where a model has ensembles for it.
    host
        The supervisor of Triton's process; None where it cannot be started anew from here.
    restart_after_s
        Seconds without an answer of any model until Triton is started anew.
    acceptances
        Acceptances of versions, where some may be needed.
    others
        Processes of the gateway before the same Triton, where there are others.
    asks_contracts
        Returns True if contracts, and so priorities, decide on some images.
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
        acceptances: Acceptances | None = None,
        asks_contracts: Callable[[], bool] = lambda: True,
        others: OtherProcesses | None = None,
    ) -> None:
        self._server = server
        self._metrics = metrics
        self._acceptances = acceptances
        self._asks_contracts = asks_contracts
        self._others = others
        self._refresh_s = refresh_s
        self._probe_timeout_s = probe_timeout_s
        self._use_ensembles = use_ensembles
        self._recovery = Recovery(
            server,
            host,
            metrics,
            on_reloaded=self.doubt,
            restart_after_s=restart_after_s,
            others=others,
        )
        self._states = ModelStates(metrics)
        self._proofs = Proofs(
            server, self._states, self._recovery, timeout_s=probe_timeout_s, fresh_s=refresh_s
        )
        self._waits = ReloadWaits(self._states, self._recovery, waiting_limit)
        self._names: frozenset[str] = frozenset()
        self._tied: frozenset[tuple[str, str]] = frozenset()
        self._reachable = False
        metrics.triton.circuit_open.set(1)
        self._doubted = asyncio.Event()
        self._looking = asyncio.Lock()
        self._looked_at = -math.inf
        if others is not None:
            others.follow_loads(self._loaded_elsewhere)

    def states(self) -> Sequence[ModelState]:
        """Return the state of every model version, by name and version."""
        return self._states.all()

    def ready(self) -> bool:
        """Return True if Triton answers and one usable model at the least does.

        One that is sick takes nothing from the others: its own studies are told to come again.
        """
        return self._reachable and State.READY in self._standing()

    def _standing(self) -> set[State]:
        """Return the state of the models whose contract holds or held."""
        return {state.state for state in self.states() if state.served is not None}

    def _whole(self) -> bool:
        """Return True if every model is ready that was."""
        return self._reachable and self._standing() == {State.READY}

    def select(self, metadata: StudyMetadata, *, is_shown: bool = True) -> ServedModel:
        """Return the model that reads such a study.

        The newest version of the accepting model with the highest priority, of equal ones the first
        by name, unless the metadata name another.

        Parameters
        ----------
        is_shown
            False for a shadow, which needs no acceptance.

        Raises
        ------
        UnknownModelError
            The metadata name a model that is not served, or not accepted where that is needed.
        NoModelAcceptsError
            No contract takes the modality, body part and view.
        InvalidMetadataError
            There is no view, and the model was made for some views only.
        InferenceUnavailableError
            The model is not ready, or none is.
        """
        chosen = accepting(self._serving(metadata) if is_shown else self.states(), metadata)
        if not self._reachable or chosen.state is not State.READY or chosen.served is None:
            raise InferenceUnavailableError(f"model {chosen.name} is not ready")
        return chosen.served

    def _serving(self, metadata: StudyMetadata) -> Sequence[ModelState]:
        """Return the states of the versions that may read such a study.

        Where acceptance is needed, the others read studies that are removed soon and shown to
        no reader: of probes, and of the run that their acceptance rests on.
        """
        acceptances = self._acceptances
        if acceptances is None or metadata.study_id.startswith(PROBE_PREFIX):
            return self.states()
        return [
            state
            for state in self.states()
            if state.served is None or acceptances.lets_serve(state.served)
        ]

    async def load(self, name: str) -> None:
        """Have Triton read a model's folder anew, and prove what it serves then.

        Versions that are served already answer meanwhile, and stay where Triton refuses.

        Raises
        ------
        UnknownModelError
            Triton knows no such model.
        ModelNotLoadedError
        """
        if name not in self._names:
            raise UnknownModelError(name, tuple(sorted(self._names)), "in the repository")
        try:
            await self._server.load_model(name, deadline=Deadline.after(_LOAD_S))
        except DeadlineExceededError as error:
            reason = f"it has not ended after {_LOAD_S:g} s, and may go on"
            raise ModelNotLoadedError(name, reason) from error
        except (InferenceFailedError, InferenceUnavailableError) as error:
            raise ModelNotLoadedError(name, error.reason) from error
        if self._others is not None:
            self._others.tell_loaded(name)
        await self.refresh()

    def _loaded_elsewhere(self, name: str) -> None:
        """Look at the repository now: another process has had a model loaded."""
        self._recovery.reloaded_elsewhere(name)
        self.doubt()

    def ask(self) -> None:
        """Raise where Triton is known to be away, before anything is done for a study.

        Raises
        ------
        InferenceUnavailableError
            Triton does not answer. It is asked again all the time; see `watch`.
        """
        if not self._reachable:
            raise InferenceUnavailableError("Triton does not answer")

    def answered(self, model: ServedModel) -> None:
        """Note that the model read a study just now."""
        self._proofs.answered((model.name, model.version))

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
            Moment at which Triton was asked, by the monotonic clock.
        """
        if isinstance(error, BackendDiedError):
            self._proofs.mend((model.name, model.version), error, began, self._names)
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
        await self._waits.outlast_reload(model, error, deadline)

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
        state = accepting(self._serving(metadata), metadata)
        await self._waits.outlast_loss(state, error, deadline, known_after_s=_SAID_READY_FOR_S)

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
            pause_s = self._refresh_s if self._whole() else min(self._refresh_s, _AMISS_REFRESH_S)
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
        """Look once: load new models, drop gone ones, try every served one's golden image."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        began = time.monotonic()
        if self._acceptances is not None and self._acceptances.required:
            await self._acceptances.refresh()
        try:
            await self._take_stock()
        except RadStreamError as error:
            # Busy is not dead: a study may be answered while this question waits.
            if not self._proofs.answered_since(began):
                self._lose_all(str(error))
        finally:
            self._looked_at = time.monotonic()
            self._states.end_look()
        self._recovery.watch_over(
            answering=self.ready(),
            reachable=self._reachable,
            sick=any(state.sick for state in self.states()),
        )

    async def _take_stock(self) -> None:
        found = await take_inventory(
            self._server, self._probe_timeout_s, use_ensembles=self._use_ensembles
        )
        self._names = found.names
        self._reachable = True
        self._metrics.triton.circuit_open.set(0)
        for entry in found.models:
            key = entry.name, entry.version
            if key in found.faults:
                self._states.note(ModelState(*key, State.REFUSED, found.faults[key]))
            else:
                config, ensembles = found.configs.get(key), found.ensembles.get(key, {})
                self._states.note(await self._proofs.prove(entry, config, ensembles, found.names))
        kept = {(entry.name, entry.version) for entry in found.models}
        for state in self.states():
            if (key := (state.name, state.version)) not in kept:
                self._states.drop(key)
                self._proofs.forget(key)
                self._recovery.forget(state.name)
        self._settle(found.new)
        for name in found.new:
            self._recovery.take_up(name)
        self._tell_ties()

    def _tell_ties(self) -> None:
        """Log each two models between which only the name decides, once while it is so."""
        tied = frozenset(ties(self.states()) if self._asks_contracts() else ())
        for first, second in sorted(tied - self._tied):
            log.warning("model.equal_priority", chosen=first, passed_over=second)
        self._tied = tied

    def _settle(self, new: frozenset[str]) -> None:
        """Cancel the reloads of models that answer, are gone or were unloaded on request."""
        states = self.states()
        sick = {state.name for state in states if state.sick}
        models = {state.name for state in states}
        for name in self._recovery.names():
            # A graph of an ensemble is proved with its model.
            concerned = name in sick if name in models else bool(sick) or name in new
            if not concerned and not self._recovery.at_work(name):
                self._recovery.forget(name)

    def _lose_all(self, reason: str) -> None:
        if self._reachable:
            log.warning("triton.unreachable", reason=reason)
        self._reachable = False
        self._metrics.triton.circuit_open.set(1)
        self._states.lose_ready(reason)
