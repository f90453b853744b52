"""Recovery of models that do not answer, and loads of new ones, with back-off."""

from __future__ import annotations

import asyncio
import contextvars
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.errors import DeadlineExceededError, RadStreamError
from gateway.runtime.backoff import Backoff
from gateway.runtime.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from typing import NoReturn

    from gateway.observability.metrics import Metrics
    from gateway.triton.protocol import InferenceServer, TritonHost

log = structlog.get_logger()

_BACKOFF = Backoff(first_s=0.5, longest_s=60.0)
# A reload of which nothing is heard for so long is counted as hanging. A load that is merely slow
# goes on in Triton all the same, and is not begun again before it has ended.
_RELOAD_S = 30.0
# Triton notices within two seconds that a backend died which it had heard of, and waits for ever
# for one that died before.
_LOST_FOR_S = 3.0
_LOOK_S = 0.5
# The longest that a study may take by default, which such a process may have in its hands.
_LEFT_FOR_S = 30.0


class Recovery:
    """The recovery of models that Triton does not serve, and of Triton where that does not help.

    Each sick model is reloaded by a task of its own, at once and then with a pause that doubles
    from half a second to a minute, until it has been proved or is gone. Where no model at all has
    answered for `restart_after_s`, Triton is started anew, again and again. One sick model of two
    is no reason for that. Where there is a host, which starts Triton with all models, new folders
    are loaded in the same way, so that one which is still being copied is taken up once it is
    whole.

    Parameters
    ----------
    server
        The server of the models.
    host
        The supervisor of Triton's process; None where it cannot be started anew from here.
    metrics
        Told of each reload and restart.
    on_reloaded
        Called after each attempt: the model is to be proved now.
    restart_after_s
        Seconds without an answer of any model until Triton is started anew.
    others
        Processes of the gateway before the same Triton, where there are others.
    """

    def __init__(
        self,
        server: InferenceServer,
        host: TritonHost | None,
        metrics: Metrics,
        *,
        on_reloaded: Callable[[], None],
        restart_after_s: float,
        others: OtherProcesses | None = None,
    ) -> None:
        self._server = server
        self._host = host
        self._metrics = metrics
        self._on_reloaded = on_reloaded
        self._restart_after_s = restart_after_s
        self._others = others
        self._sick: dict[str, _SickModel] = {}
        self._reloaded_at: dict[str, float] = {}
        self._stuck: set[str] = set()
        self._silent_since = time.monotonic()
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> NoReturn:
        """Reload what is reported, for ever."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for name, sick in self._sick.items():
                    self._begin(name, sick)
                await asyncio.Event().wait()
        finally:
            self._tasks = None
        raise AssertionError  # for the type checker: the event is nobody's to set

    def report(self, name: str, *, loaded: bool) -> None:
        """Schedule the reload of the model, once the pause after the last attempt is over.

        Parameters
        ----------
        loaded
            True if Triton takes it for loaded, so that it is to be unloaded first.
        """
        sick = self._sick.get(name)
        if sick is None:
            sick = self._add(name, _SickModel())
        if not sick.at_work:  # what was seen before the attempt ends says nothing of its success
            sick.loaded = loaded
            sick.reported.set()

    def take_up(self, name: str) -> None:
        """Ask for the load of a model that Triton has never loaded, again if that fails.

        A Triton that was started by others may leave models out on purpose.
        """
        if self._host is None:
            return
        new = self._sick.get(name) or self._add(name, _SickModel(new=True))
        if not new.at_work:
            new.loaded = False
            new.reported.set()

    def names(self) -> list[str]:
        """Return the models that are to be reloaded, or were and have not been proved yet."""
        return list(self._sick)

    def left_unloaded(self, name: str) -> bool:
        """Return whether an attempt unloaded the model and did not get it loaded again."""
        sick = self._sick.get(name)
        return sick is not None and sick.left_unloaded

    def at_work(self, name: str) -> bool:
        """Return whether an attempt is under way or follows at once."""
        sick = self._sick.get(name)
        return sick is not None and (sick.at_work or sick.attempts == 0)

    def unloads(self, name: str) -> bool:
        """Return whether an attempt that unloads the model is at work: no proof would hold.

        A mere load leaves the versions alone that are loaded: one that is broken or still being
        copied takes nothing from those beside it.
        """
        return self.at_work(name) and self._sick[name].loaded

    def reloaded_since(self, name: str, moment: float) -> bool:
        """Return whether an attempt ended after this moment of the monotonic clock."""
        return self._reloaded_at.get(name, -1.0) > moment

    def reloaded_elsewhere(self, name: str) -> None:
        """Note that another process has had the model loaded: earlier failures say nothing now."""
        self._reloaded_at[name] = time.monotonic()

    def forget(self, name: str) -> None:
        """Leave the model alone: it answers, is gone or was unloaded on request."""
        self._stuck.discard(name)
        if (sick := self._sick.pop(name, None)) is not None and sick.task is not None:
            sick.task.cancel()

    def watch_over(self, *, answering: bool, reachable: bool, sick: bool) -> None:
        """Start Triton anew where no model has answered for too long.

        Parameters
        ----------
        answering
            True if any model is proved now.
        reachable
            True if Triton itself answers.
        sick
            True if any model should answer and does not.
        """
        now = time.monotonic()
        host = self._host
        if answering or host is None or (reachable and not sick):
            self._silent_since = now
            return
        if not (reachable or host.restarts_silent):  # it may be starting, or hang: its probes tell
            self._silent_since = now
            return
        silent_s = now - self._silent_since
        if silent_s < (_LOST_FOR_S if self._stuck else self._restart_after_s):
            return
        self._silent_since = now
        if host.restart():
            log.error("triton.restart", silent_s=round(silent_s, 1), stuck=sorted(self._stuck))
            self._metrics.triton.restarts_asked.inc()
            for name in list(self._sick):
                self.forget(name)

    def _add(self, name: str, sick: _SickModel) -> _SickModel:
        self._sick[name] = sick
        self._begin(name, sick)
        return sick

    def _begin(self, name: str, sick: _SickModel) -> None:
        if self._tasks is not None:
            # Not in the context of the study that found it: its log lines are not that study's.
            sick.task = self._tasks.create_task(
                self._bring_back(name, sick), context=contextvars.Context()
            )

    async def _bring_back(self, name: str, sick: _SickModel) -> NoReturn:
        while True:
            await sick.reported.wait()
            sick.at_work = True
            try:
                async with self._turn(name) as turn:
                    done = turn.is_done or await self._attempt(name, sick)
                    turn.is_done = done
                sick.left_unloaded = not done and (sick.loaded or sick.left_unloaded)
            finally:
                sick.at_work = False
                sick.attempts += 1
            sick.reported.clear()
            self._reloaded_at[name] = time.monotonic()
            self._on_reloaded()
            await _BACKOFF.wait(sick.attempts - 1)

    def _leave_behind(self, name: str, pids: frozenset[int]) -> None:
        """End the processes that ran the model before it was reloaded, studies apart.

        Triton 2.51 keeps the living instances of a model of which one died for good, with all
        their memory, though they get no study any more.
        """
        if self._host is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(_LEFT_FOR_S, self._host.end_backends, name, pids)

    def _turn(self, name: str) -> AbstractAsyncContextManager[ReloadTurn]:
        return nullcontext(ReloadTurn()) if self._others is None else self._others.reload_turn(name)

    async def _attempt(self, name: str, sick: _SickModel) -> bool:
        before = self._host.backends_of(name) if self._host else frozenset()
        reason: str | None
        try:
            await self._reload(name, unload=sick.loaded)
        except DeadlineExceededError:
            outcome, reason = "hung", f"nothing was heard of it for {_RELOAD_S:g} s"
        except _LoadStuckError:
            outcome, reason = "hung", "its process died while it was loaded"
            self._stuck.add(name)
        except RadStreamError as error:
            outcome, reason = "refused", str(error)
        else:
            outcome, reason = "reloaded", None
        tell = log.info if outcome == "reloaded" else log.warning
        # Not a failure of the gateway's: a server whose models are fixed refuses to reload.
        tell((_LOAD_EVENTS if sick.new else _EVENTS)[outcome], model=name, reason=reason)
        if not sick.new:  # it answered never, and may be half copied
            self._metrics.triton.reloads.labels(name, outcome).inc()
        if outcome == "reloaded" and sick.loaded and before:
            self._leave_behind(name, before)
        return outcome == "reloaded"

    async def _reload(self, name: str, *, unload: bool) -> None:
        call = self._server.reload_model if unload else self._server.load_model
        before = self._host.lost_backends() if self._host else frozenset()
        task = asyncio.ensure_future(call(name, deadline=Deadline.after(_RELOAD_S)))
        lost_since: dict[int, float] = {}
        try:
            while not (await asyncio.wait([task], timeout=_LOOK_S))[0]:
                lost = (self._host.lost_backends() if self._host else frozenset()) - before
                now = time.monotonic()
                lost_since = {pid: lost_since.get(pid, now) for pid in lost}
                if any(now - since > _LOST_FOR_S for since in lost_since.values()):
                    raise _LoadStuckError
            await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, RadStreamError):
                await task


@dataclass(slots=True)
class ReloadTurn:
    """A turn in which one process of several reloads a model.

    Attributes
    ----------
    is_done
        True at its beginning where another process has reloaded the model meanwhile; to be True at
        its end where this one has.
    """

    is_done: bool = False


class OtherProcesses(Protocol):
    """The other processes of a gateway, which are before the same Triton."""

    def reload_turn(self, model_name: str) -> AbstractAsyncContextManager[ReloadTurn]:
        """Return the context in which this process alone reloads a model."""
        ...

    def tell_loaded(self, model_name: str) -> None:
        """Tell the others that a model was loaded."""
        ...

    def follow_loads(self, take: Callable[[str], None]) -> None:
        """Tell `take` from now on of each model that another process has had loaded."""
        ...


class _SickModel:
    """A model that is to be loaded or reloaded, and how far that has come."""

    def __init__(self, *, new: bool = False) -> None:
        self.new = new
        self.reported = asyncio.Event()
        self.loaded = True
        self.at_work = False
        self.left_unloaded = False
        self.attempts = 0
        self.task: asyncio.Task[NoReturn] | None = None


class _LoadStuckError(Exception):
    """Triton waits for a backend that died: this load will never end."""


_EVENTS = {
    "reloaded": "model.reloaded",
    "refused": "model.reload_refused",
    "hung": "model.reload_hung",
}
_LOAD_EVENTS = {
    "reloaded": "model.loaded",
    "refused": "model.load_refused",
    "hung": "model.load_hung",
}
