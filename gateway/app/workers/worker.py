"""A worker's process: a whole gateway, whose connections the first process accepts.

    python -m gateway.app.workers.worker CONNECTIONS LINK

Both are numbers of open sockets. The end of either is the end of the worker, whoever closes it,
once it has answered what it has.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import socket
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.app.errors import StartError
from gateway.app.event_loop import run
from gateway.app.server import GatewayServer, came_up
from gateway.app.tls import CertificateError
from gateway.app.workers.link import NO, YES, Kind, Link, number_of, numbered
from gateway.delivery.storage_commitment import AwaitedReports, ReceivedReport
from gateway.models.recovery import ReloadTurn
from gateway.observability import logs
from gateway.observability.metrics import Metrics, process_registry
from gateway.observability.metrics.combined import Families, families_of, modes_of, read, written
from gateway.triton.embedded.parents_server import ParentsTriton

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from prometheus_client.registry import Collector

    from gateway.app.workers.worker_process import Assignment

log = structlog.get_logger()


class Place:
    """A worker's place in its gateway; see `WorkerPlace`."""

    def __init__(self, assignment: Assignment, link: Link, metrics: Metrics) -> None:
        self.leads = assignment.number == 1
        self.commitment_reports = AwaitedReports(self._pass_on if self.leads else None)
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._registry = metrics.registry
        self._modes = modes_of(metrics)
        self._questions: dict[int, asyncio.Future[bytes]] = {}
        self._asked = 0
        self.take_load: Callable[[str], None] = lambda _name: None

    @asynccontextmanager
    async def reload_turn(self, model_name: str) -> AsyncIterator[ReloadTurn]:
        """See `WorkerPlace.reload_turn`."""
        name, turn = model_name.encode(), ReloadTurn()
        number, answer = self._question()
        self._link.send(Kind.ASK_TURN, numbered(number, name))
        try:
            turn.is_done = await answer == NO
            yield turn
            if turn.is_done and answer.result() == YES:
                self.tell_loaded(model_name)
        finally:  # also of a wait that was given up; it counts where the turn is this worker's
            del self._questions[number]
            used = YES if turn.is_done else NO
            self._link.send(Kind.END_TURN, numbered(number, used + name))

    def tell_loaded(self, model_name: str) -> None:
        """See `WorkerPlace.tell_loaded`."""
        self._link.send(Kind.LOADED, model_name.encode())

    def follow_loads(self, take: Callable[[str], None]) -> None:
        """See `WorkerPlace.follow_loads`."""
        self.take_load = take

    async def collected_metrics(self) -> Collector:
        """See `WorkerPlace.collected_metrics`."""
        number, answer = self._question()
        self._link.send(Kind.ASK_METRICS, numbered(number))
        try:
            return Families(read(await answer))
        finally:
            del self._questions[number]

    def _question(self) -> tuple[int, asyncio.Future[bytes]]:
        """Return the number of a new question, and what will have its answer."""
        self._asked += 1
        answer = self._questions[self._asked] = self._loop.create_future()
        return self._asked, answer

    def take_answer(self, data: bytes) -> None:
        """Take the answer to a question."""
        number, answer = number_of(data)
        question = self._questions.get(number)
        if question is not None and not question.done():  # else whoever asked has gone
            question.set_result(answer)

    def _pass_on(self, report: ReceivedReport) -> None:
        """Pass a report on to the other processes; called by any thread."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._link.send, Kind.REPORT, report.written())

    def give_metrics(self, question: int = 0) -> None:
        """Send the metrics of this process; 0 is nobody's question."""
        families = families_of(self._registry, self._modes)
        self._link.send(Kind.METRICS, numbered(question, written(families)))


class WorkerServer(GatewayServer):
    """A server of connections that are handed to it.

    Parameters
    ----------
    assignment
        Instructions of the first process.
    connections
        Brings them.
    link
        The link with the first process.
    """

    def __init__(self, assignment: Assignment, connections: socket.socket, link: Link) -> None:
        metrics = Metrics(process_registry())
        self.place = Place(assignment, link, metrics)
        triton = None
        if assignment.has_triton:
            triton = ParentsTriton(partial(link.send, Kind.RESTART_TRITON))
        self._connections = connections
        self._link = link
        self._taking: set[asyncio.Task[None]] = set()
        self._lost = 0
        self._failure_told = False
        super().__init__(assignment.settings, lambda _url: None, metrics, triton, self.place)

    def on_started(self) -> None:
        """Take connections from now on."""
        self._connections.setblocking(False)
        asyncio.get_running_loop().add_reader(self._connections, self._take)
        self._link.send(Kind.READY)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the first process: systemd, for one, sends them to all."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        yield

    async def on_tick(self, counter: int) -> bool:
        """Tell of a part that failed; return True once it is to stop."""
        if self.health.failed is not None and not self._failure_told:
            self._failure_told = True
            self._link.send(Kind.FAILED, self.health.failed.encode())
        return await super().on_tick(counter)

    async def obey(self) -> None:
        """Do what the first process says; end once it says nothing more, or cannot be obeyed."""
        try:
            await self._obey()
        except Exception:
            log.exception("worker.deaf")
        self.should_exit = True

    async def _obey(self) -> None:
        while (message := await self._link.receive()) is not None:
            match message.kind:
                case Kind.DRAIN:
                    self._drain()
                case Kind.QUIT:
                    self.force_exit = self.should_exit = True
                case Kind.PING:
                    self._link.send(Kind.PONG)
                case Kind.GIVE_METRICS:
                    self.place.give_metrics(number_of(message.data)[0])
                case Kind.ALL_METRICS | Kind.TURN:
                    self.place.take_answer(message.data)
                case Kind.LOADED:
                    self.place.take_load(message.data.decode())
                case Kind.REPORT:
                    self.place.commitment_reports.take(ReceivedReport.read(message.data))

    def _drain(self) -> None:
        if not self.health.draining:
            self.health.drain()
            log.info("gateway.draining")

    def _take(self) -> None:
        """Serve the connections that are there; end where there will be no more."""
        while True:
            try:
                data, descriptors, *_ = socket.recv_fds(self._connections, 1, 1)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                asyncio.get_running_loop().remove_reader(self._connections)
                self._drain()
                self.should_exit = True
                return
            if not descriptors:  # too many files are open
                log.warning("worker.connection_lost")
                self.on_connection_lost()
            for descriptor in descriptors:
                taking = asyncio.create_task(self._begin(socket.socket(fileno=descriptor)))
                self._taking.add(taking)
                taking.add_done_callback(self._taking.discard)

    async def _begin(self, connection: socket.socket) -> None:
        """Serve a connection, once its TLS is agreed on."""
        connection.setblocking(False)
        protocol = partial(
            self.protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(protocol, connection, ssl=self.config.ssl)
        except OSError:  # it was closed, or no TLS was agreed on
            connection.close()
            self.on_connection_lost()

    def on_connection_lost(self) -> None:
        """Tell the first process, once for all of this moment."""
        if not self._lost:
            asyncio.get_running_loop().call_soon(self._tell_lost)
        self._lost += 1

    def _tell_lost(self) -> None:
        self._link.send(Kind.CLOSED, str(self._lost).encode())
        self._lost = 0


async def _serve(assignment: Assignment, connections: socket.socket, link: Link) -> bool:
    """Serve until the connections end; return True if the gateway came up at all."""
    try:
        server = WorkerServer(assignment, connections, link)
        orders = asyncio.create_task(server.obey())
        try:
            return await came_up(server, assignment.settings, sockets=[])
        finally:
            server.place.give_metrics()
            orders.cancel()
            with suppress(asyncio.CancelledError):
                await orders
    except (CertificateError, StartError) as error:
        link.send(Kind.NOT_STARTED, str(error).encode())
        return False


async def _work(connections: socket.socket, end: socket.socket) -> bool:
    link = await Link.over(end)
    message = await link.receive()
    if message is None:  # the first process has gone
        return False
    assignment: Assignment = pickle.loads(message.data)  # noqa: S301 - of the process that started this one
    logs.configure(assignment.settings.logs, worker=assignment.number)
    try:
        return await _serve(assignment, connections, link)
    finally:
        await link.close()


def main() -> None:
    """Run the worker that the arguments name the sockets of."""
    connections, end = (socket.socket(fileno=int(number)) for number in sys.argv[1:])
    sys.exit(0 if run(_work(connections, end)) else 1)


if __name__ == "__main__":
    main()
