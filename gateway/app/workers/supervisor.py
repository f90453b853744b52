"""The first process of a gateway of several: it listens, hands connections over, keeps all alive.

It accepts every connection and hands it to the worker that has the fewest. To let the workers
accept for themselves would leave it to chance which has how many: a load balancer's few connections
stay for hours.
"""

from __future__ import annotations

import asyncio
import math
import time
from asyncio import FIRST_COMPLETED
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from gateway.app.errors import StartError
from gateway.app.event_loop import stop_signals
from gateway.app.start_checks import bound_sockets, unavailable, url_of
from gateway.app.workers.link import NO, YES, Kind, number_of, numbered
from gateway.app.workers.shares import share_of, with_shared_secrets
from gateway.app.workers.turns import Asker, Turns
from gateway.app.workers.worker_process import Assignment, WorkerProcess
from gateway.observability.metrics.combined import combined, counted, written
from gateway.runtime.backoff import Backoff
from gateway.runtime.concurrency import first_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from gateway.app.workers.link import Link, Message
    from gateway.app.workers.supervisor_metrics import SupervisorMetrics
    from gateway.observability.metrics.combined import Family
    from gateway.settings import HttpSettings, Settings
    from gateway.triton.protocol import TritonHost

log = structlog.get_logger()

_BACKOFF = Backoff(first_s=0.5, longest_s=30.0)
_STEADY_AFTER_S = 60.0  # a worker that lived this long did not die of its start
_BACKLOG = 2048
_PING_S = 5.0
# Without an answer. It imports the application before its first.
_MOST_PINGS = 6
_MOST_PINGS_AT_START = 60
# A worker that found Triton dead before it was started anew may ask for it after that.
_RESTARTED_S = 15.0
_PAUSE_S = 1.0
_LOOK_S = 0.05
_QUITS_S = 3.0
_ENDS_S = 30.0


class Supervisor:
    """The workers of a gateway, kept running until it is told to stop.

    Parameters
    ----------
    settings
        Of the whole gateway.
    metrics
        Of this process.
    triton_host
        The supervisor of Triton's process, where it runs below this one.
    """

    def __init__(
        self, settings: Settings, metrics: SupervisorMetrics, triton_host: TritonHost | None
    ) -> None:
        self._settings = with_shared_secrets(settings)
        self._metrics = metrics
        self._triton_host = triton_host
        self._workers: dict[int, WorkerProcess] = {}
        self._turns = Turns()
        self._left: list[Family] = []  # counts of processes that have ended
        self._starting = set(range(1, settings.http.workers + 1))  # those never ready so far
        self._came_up = asyncio.Event()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._answers: set[asyncio.Task[None]] = set()
        self._restarted_at = -math.inf

    async def run(self, on_ready: Callable[[str], None]) -> bool:
        """Serve until it is told to stop; return True.

        Parameters
        ----------
        on_ready
            Called with the base URL once the gateway listens.

        Raises
        ------
        AddressUnavailableError
            See `check_address`.
        StartError
            A worker did not start.
        """
        with ExitStack() as stack:
            stack.enter_context(self.stop_signals())
            listeners = bound_sockets(self._settings.http)
            for listener in listeners:
                stack.callback(listener.close)
            keepers = [asyncio.create_task(self._keep(number)) for number in self._starting]
            pinging = asyncio.create_task(self._ping())
            serving = asyncio.create_task(self._serve(listeners, on_ready))
            tasks = [*keepers, pinging, serving]
            try:
                while not serving.done() and not _faults(tasks):
                    running = [task for task in tasks if not task.done()]
                    await asyncio.wait(running, return_when=FIRST_COMPLETED)
            finally:
                self._stop.set()
                await _end(serving)
                for worker in self._workers.values():
                    worker.retire()
                await asyncio.wait(keepers)
                await _end(pinging)
        for fault in _faults(tasks):
            raise fault
        return True

    async def _serve(
        self, listeners: Sequence[socket.socket], on_ready: Callable[[str], None]
    ) -> None:
        """Hand connections over until it is told to stop, and for the delay of draining."""
        await first_of(self._came_up, self._stop)
        if self._stop.is_set():
            return
        http = self._settings.http
        _listen(listeners, http)
        accepting = [asyncio.create_task(self._accept(listener)) for listener in listeners]
        stopping = asyncio.create_task(self._stop.wait())
        try:
            on_ready(url_of(listeners[0], is_tls=http.tls_certificate is not None))
            await asyncio.wait([stopping, *accepting], return_when=FIRST_COMPLETED)
            for fault in _faults(accepting):
                raise fault
            if self._stop.is_set():
                for worker in self._workers.values():
                    worker.link.send(Kind.DRAIN)
                log.info("workers.draining", delay_s=http.drain_delay_s)
                await first_of(self._hurry, timeout_s=http.drain_delay_s)
        finally:
            await _end(stopping, *accepting)
            for listener in listeners:
                listener.close()

    # --- connections -----------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket) -> None:
        """Take connections and hand each over, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # such as of too many open files
                log.warning("workers.accept_failed", reason=error.strerror)
                await asyncio.sleep(_PAUSE_S)
                continue
            with connection:
                while not self._hand_over(connection):  # noqa: ASYNC110 - the others wait, too
                    await asyncio.sleep(_LOOK_S)

    def _hand_over(self, connection: socket.socket) -> bool:
        """Give a connection to the worker with the fewest, of equals to the one given fewest.

        False where there is none that takes it now.
        """
        ready = [worker for worker in self._workers.values() if worker.is_ready]
        ready.sort(key=lambda each: (each.unanswered_pings > 1, each.open_connections, each.given))
        return any(worker.hand_over(connection) for worker in ready)

    # --- workers ---------------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        """Have the worker of this number running until it is told to stop.

        Raises
        ------
        StartError
            It ended before it was ready for the first time.
        """
        assignment = Assignment(
            number, share_of(self._settings, number), has_triton=self._triton_host is not None
        )
        deaths = 0
        while not self._stop.is_set():
            began = time.monotonic()
            reason = await self._run_worker(assignment)
            if self._stop.is_set():
                return
            if number in self._starting:
                raise StartError(reason)
            deaths = deaths + 1 if time.monotonic() - began < _STEADY_AFTER_S else 1
            delay_s = _BACKOFF.wait_s(deaths - 1)
            self._metrics.workers.deaths.inc()
            log.error("worker.died", worker=number, reason=reason, restart_in_s=round(delay_s, 1))
            await first_of(self._stop, timeout_s=delay_s)

    async def _run_worker(self, assignment: Assignment) -> str:
        """Start a worker and take what it says until it has ended; return why it did."""
        number = assignment.number
        try:
            worker = await WorkerProcess.start(assignment)
        except OSError as error:
            return f"worker {number} cannot be started: {error.strerror}"
        self._workers[number] = worker
        if self._stop.is_set():
            worker.retire()
        while (message := await worker.link.receive()) is not None:
            self._take(worker, message)
        exit_code = await worker.ended()
        del self._workers[number]
        self._turns.forget(number)
        self._left = combined([self._left, counted(worker.metrics)])
        return worker.fault or f"worker {number} ended with exit code {exit_code}"

    def _take(self, worker: WorkerProcess, message: Message) -> None:
        match message.kind:
            case Kind.READY:
                worker.has_started = worker.is_ready = True
                self._starting.discard(worker.number)
                if not self._starting:
                    self._came_up.set()
                log.info("worker.ready", worker=worker.number, pid=worker.pid)
            case Kind.NOT_STARTED:
                worker.fault = message.data.decode()
            case Kind.FAILED:
                worker.fault = f"its {message.data.decode()} failed"
                worker.retire()
                asyncio.get_running_loop().call_later(self._ends_within_s(), worker.kill)
            case Kind.PONG:
                worker.unanswered_pings = 0
            case Kind.CLOSED:
                worker.open_connections -= int(message.data)
            case Kind.METRICS:
                worker.take_metrics(message)
            case _:
                self._do_for(worker, message)

    def _do_for(self, worker: WorkerProcess, message: Message) -> None:
        """Do what a worker asks for."""
        match message.kind:
            case Kind.ASK_METRICS:
                number, _ = number_of(message.data)
                answer = asyncio.create_task(self._answer(worker, number))
                self._answers.add(answer)
                answer.add_done_callback(self._answers.discard)
            case Kind.ASK_TURN:
                number, name = number_of(message.data)
                grant = partial(_grant, worker.link, number)
                self._turns.ask(name, Asker(worker.number, number), grant)
            case Kind.END_TURN:
                number, rest = number_of(message.data)
                asker = Asker(worker.number, number)
                self._turns.end(rest[1:], asker, is_used=rest[:1] == YES)
            case Kind.REPORT | Kind.LOADED:
                for other in self._workers.values():
                    if other is not worker:
                        other.link.send(message.kind, message.data)
            case Kind.RESTART_TRITON:
                self._restart_triton()

    def _restart_triton(self) -> None:
        """Start Triton anew, once for all that ask."""
        host, now = self._triton_host, time.monotonic()
        if host is not None and now - self._restarted_at > _RESTARTED_S and host.restart():
            self._restarted_at = now
            log.error("triton.restart")
            self._metrics.triton.restarts_asked.inc()

    def _ends_within_s(self) -> float:
        """Return the seconds that a worker may take to end once it gets no more connections."""
        settings = self._settings
        return settings.http.grace_period_s + settings.telemetry.drain_s + _ENDS_S

    async def _answer(self, asker: WorkerProcess, number: int) -> None:
        """Send a worker the metrics of all processes."""
        # A worker that ends meanwhile counts once: not among what is left by now.
        left, workers = self._left, list(self._workers.values())
        given = await asyncio.gather(*(worker.give_metrics() for worker in workers))
        families = combined([*given, left, self._metrics.families()])
        asker.link.send(Kind.ALL_METRICS, numbered(number, written(families)))

    async def _ping(self) -> None:
        """Kill workers that hang, also as they start or end, for ever."""
        while True:
            await asyncio.sleep(_PING_S)
            for worker in self._workers.values():
                most = _MOST_PINGS if worker.has_started else _MOST_PINGS_AT_START
                if worker.unanswered_pings >= most:
                    worker.fault = f"it did not answer for {_PING_S * most:g} s"
                    worker.kill()
                worker.unanswered_pings += 1
                worker.link.send(Kind.PING)

    # --- the end ---------------------------------------------------------------------------------

    def stop_signals(self) -> AbstractContextManager[None]:
        """Return the context that stops at a signal; at the second, at once."""
        return stop_signals(self._on_signal)

    def _on_signal(self) -> None:
        if self._stop.is_set():  # its sender has no patience left
            self._hurry.set()
            for worker in self._workers.values():
                worker.link.send(Kind.QUIT)
                asyncio.get_running_loop().call_later(_QUITS_S, worker.kill)
        self._stop.set()


def _faults(tasks: Sequence[asyncio.Task[None]]) -> list[BaseException]:
    """Return the faults that tasks have ended with."""
    ended = [task for task in tasks if task.done() and not task.cancelled()]
    return [fault for task in ended if (fault := task.exception()) is not None]


def _grant(link: Link, question: int, is_ours: bool) -> None:
    link.send(Kind.TURN, numbered(question, YES if is_ours else NO))


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and return once they have ended; a fault in one stays in it."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _listen(listeners: Sequence[socket.socket], http: HttpSettings) -> None:
    """Listen on bound sockets.

    Raises
    ------
    AddressUnavailableError
        Another program came first.
    """
    try:
        for listener in listeners:
            listener.listen(_BACKLOG)
            listener.setblocking(False)
    except OSError as error:
        raise unavailable(http, error) from error


async def serve_workers(
    settings: Settings,
    on_ready: Callable[[str], None],
    triton_host: TritonHost | None = None,
    *,
    metrics: SupervisorMetrics,
) -> bool:
    """Run the gateway in several processes until it is told to stop; see `Supervisor.run`."""
    return await Supervisor(settings, metrics, triton_host).run(on_ready)
