"""The first process of a gateway of several: it listens, hands connections over, keeps all alive.

It accepts every connection and hands it to the worker that has the fewest. To let the workers
accept for themselves would leave it to chance which has how many: a load balancer's few connections
stay for hours.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from gateway.app.errors import AddressUnavailableError, StartError
from gateway.app.start_checks import bound_sockets
from gateway.app.workers.link import Kind, number_of, numbered
from gateway.app.workers.shares import share_of, with_shared_secrets
from gateway.app.workers.worker_process import Assignment, WorkerProcess
from gateway.observability.metrics import process_registry
from gateway.observability.metrics.combined import combined, counted, families_of, modes_of, written
from gateway.observability.metrics.triton import TritonMetrics
from gateway.observability.metrics.workers import WorkerMetrics
from gateway.runtime.backoff import Backoff

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from gateway.app.workers.link import Message
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
_MOST_PINGS_AT_START = 24
_PAUSE_S = 1.0
_LOOK_S = 0.05


class SupervisorMetrics:
    """Counts of the first process itself; the rest are the workers'."""

    def __init__(self) -> None:
        self._registry = process_registry()
        self.triton = TritonMetrics(self._registry)
        self.workers = WorkerMetrics(self._registry)
        groups = (self.triton, self.workers)
        self._modes = modes_of(metric for group in groups for metric in vars(group).values())

    def families(self) -> list[Family]:
        """Return them as they are now."""
        return families_of(self._registry, self._modes)


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
        self._left: list[Family] = []  # counts of processes that have ended
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._answers: set[asyncio.Task[None]] = set()
        numbers = range(1, settings.http.workers + 1)
        self._started: dict[int, asyncio.Future[None]] = {
            number: asyncio.get_running_loop().create_future() for number in numbers
        }

    async def run(self, on_ready: Callable[[str], None]) -> bool:
        """Serve until it is told to stop; return True if the gateway came up at all.

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
            stack.enter_context(self._signals())
            listeners = _bound(self._settings.http)
            for listener in listeners:
                stack.callback(listener.close)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="radstream-")))
            keepers = [asyncio.create_task(self._keep(n, folder)) for n in self._started]
            try:
                if await self._come_up():
                    await self._serve(listeners, on_ready)
            finally:
                self._stop.set()
                for worker in self._workers.values():
                    worker.retire()
                await asyncio.gather(*keepers)
        return all(started.done() and not started.cancelled() for started in self._started.values())

    async def _come_up(self) -> bool:
        """Return True once every worker is ready; False where it is to stop before."""
        stopped = asyncio.create_task(self._stop.wait())
        everyone = asyncio.gather(*self._started.values())
        either: set[asyncio.Future[Any]] = {stopped, everyone}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not everyone.done():
            everyone.cancel()
            return False
        await everyone
        return True

    async def _serve(
        self, listeners: Sequence[socket.socket], on_ready: Callable[[str], None]
    ) -> None:
        """Hand connections over until it is told to stop, and for the delay of draining."""
        for listener in listeners:
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        tasks = [asyncio.create_task(self._accept(listener)) for listener in listeners]
        tasks.append(asyncio.create_task(self._ping()))
        try:
            on_ready(_url(listeners, is_tls=self._settings.http.tls_certificate is not None))
            await self._stop.wait()
            for worker in self._workers.values():
                worker.link.send(Kind.DRAIN)
            delay_s = self._settings.http.drain_delay_s
            log.info("workers.draining", delay_s=delay_s)
            await _until(self._hurry, delay_s)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
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
        ready.sort(key=lambda worker: (worker.open_connections, worker.given))
        return any(worker.hand_over(connection) for worker in ready)

    # --- workers ---------------------------------------------------------------------------------

    async def _keep(self, number: int, turns: Path) -> None:
        """Have the worker of this number running until it is told to stop."""
        assignment = Assignment(
            number,
            share_of(self._settings, number),
            turns=turns,
            has_triton=self._triton_host is not None,
        )
        deaths = 0
        while not self._stop.is_set():
            began = time.monotonic()
            reason = await self._run_worker(assignment)
            if self._stop.is_set():
                return
            if not self._started[number].done():
                self._started[number].set_exception(StartError(reason))
                return
            deaths = deaths + 1 if time.monotonic() - began < _STEADY_AFTER_S else 1
            delay_s = _BACKOFF.wait_s(deaths - 1)
            self._metrics.workers.deaths.inc()
            log.error("worker.died", worker=number, reason=reason, restart_in_s=round(delay_s, 1))
            await _until(self._stop, delay_s)

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
            worker.unanswered_pings = 0
            self._take(worker, message)
        exit_code = await worker.ended()
        del self._workers[number]
        self._left = combined([self._left, counted(worker.metrics)])
        return worker.fault or f"worker {number} ended with exit code {exit_code}"

    def _take(self, worker: WorkerProcess, message: Message) -> None:
        match message.kind:
            case Kind.READY:
                worker.is_ready = True
                if not self._started[worker.number].done():
                    self._started[worker.number].set_result(None)
                log.info("worker.ready", worker=worker.number, pid=worker.pid)
            case Kind.NOT_STARTED:
                worker.fault = message.data.decode()
            case Kind.FAILED:
                worker.fault = f"its {message.data.decode()} failed"
                worker.retire()
            case Kind.CLOSED:
                worker.open_connections -= int(message.data)
            case Kind.METRICS:
                worker.take_metrics(message)
            case Kind.ASK_METRICS:
                number, _ = number_of(message.data)
                answer = asyncio.create_task(self._answer(worker, number))
                self._answers.add(answer)
                answer.add_done_callback(self._answers.discard)
            case Kind.RESTART_TRITON if self._triton_host is not None:
                self._triton_host.restart()

    async def _answer(self, asker: WorkerProcess, number: int) -> None:
        """Send a worker the metrics of all processes."""
        # A worker that ends meanwhile counts once: not among what is left by now.
        left, workers = self._left, list(self._workers.values())
        given = await asyncio.gather(*(worker.give_metrics() for worker in workers))
        families = combined([*given, left, self._metrics.families()])
        asker.link.send(Kind.ALL_METRICS, numbered(number, written(families)))

    async def _ping(self) -> None:
        """Look after workers that hang, for ever."""
        while True:
            await asyncio.sleep(_PING_S)
            for worker in self._workers.values():
                most = _MOST_PINGS if worker.is_ready else _MOST_PINGS_AT_START
                if worker.unanswered_pings >= most:
                    worker.fault = f"it did not answer for {_PING_S * most:g} s"
                    worker.kill()
                worker.unanswered_pings += 1
                worker.link.send(Kind.PING)

    # --- the end ---------------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT; at the second, at once."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self._stop.is_set():  # its sender has no patience left
            self._hurry.set()
            for worker in self._workers.values():
                worker.link.send(Kind.QUIT)
        self._stop.set()


async def _until(event: asyncio.Event, longest_s: float) -> None:
    """Return once the event is set, or the time is up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(longest_s):
            await event.wait()


def _bound(http: HttpSettings) -> list[socket.socket]:
    listeners = bound_sockets(http)
    if not listeners:
        raise AddressUnavailableError(f"the gateway cannot listen on {http.host}")
    return listeners


def _url(listeners: Sequence[socket.socket], *, is_tls: bool) -> str:
    host, port = listeners[0].getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


async def serve_workers(
    settings: Settings,
    on_ready: Callable[[str], None],
    triton_host: TritonHost | None = None,
    *,
    metrics: SupervisorMetrics,
) -> bool:
    """Run the gateway in several processes until it is told to stop; see `Supervisor.run`."""
    return await Supervisor(settings, metrics, triton_host).run(on_ready)
