"""One worker, as the first process sees it."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from gateway.app.workers.link import Kind, Link, number_of, numbered
from gateway.observability.metrics.combined import counted, read

if TYPE_CHECKING:
    from gateway.app.workers.link import Message
    from gateway.observability.metrics.combined import Family
    from gateway.settings import Settings

_GIVES_METRICS_S = 2.0
# Between the last word of a worker and the end of its process.
_ENDS_S = 10.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """Instructions for a worker.

    Parameters
    ----------
    number
        Its number, from 1; the first leads.
    settings
        Its own; see `share_of`.
    has_triton
        True if the first process runs Triton.
    """

    number: int
    settings: Settings
    has_triton: bool


@dataclass(eq=False, slots=True)
class WorkerProcess:
    """A worker's process, the connections on their way to it, and the link with it.

    Parameters
    ----------
    number
        Of the worker, from 1.
    has_started
        True once it was ready.
    is_ready
        True while it takes connections.
    fault
        Its own sentence on why it did not start.
    open_connections
        Connections that it was given and has not closed.
    given
        Connections that it was given.
    unanswered_pings
        Pings since it was last heard of.
    metrics
        Its metrics, as it last gave them.
    """

    number: int
    link: Link
    _process: asyncio.subprocess.Process
    _connections: socket.socket
    has_started: bool = False
    is_ready: bool = False
    fault: str | None = None
    open_connections: int = 0
    given: int = 0
    unanswered_pings: int = 0
    metrics: list[Family] = field(default_factory=list)
    _questions: dict[int, asyncio.Future[bytes]] = field(default_factory=dict)
    _asked: int = 0

    @classmethod
    async def start(cls, assignment: Assignment) -> Self:
        """Return a worker that is starting."""
        with ExitStack() as stack:
            connections, taken = socket.socketpair()
            stack.enter_context(taken)
            own, others = socket.socketpair()
            stack.enter_context(others)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "gateway.app.workers.worker"),
                *(str(taken.fileno()), str(others.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stderr=sys.stderr,  # the log's, which is not descriptor 2 any more
                pass_fds=(taken.fileno(), others.fileno()),
                start_new_session=True,  # a terminal's signals are for the first process
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        connections.setblocking(False)
        link = await Link.over(own)
        link.send(Kind.ASSIGNMENT, pickle.dumps(assignment))
        return cls(assignment.number, link, process, connections)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def hand_over(self, connection: socket.socket) -> bool:
        """Give it a connection, which the caller closes; return False if it takes none."""
        try:
            socket.send_fds(self._connections, [b"c"], [connection.fileno()])
        except OSError:  # it is gone, or so slow that there is no room on the way to it
            return False
        self.open_connections += 1
        self.given += 1
        return True

    def retire(self) -> None:
        """Let it finish what it has, and end; it gets no more connections."""
        self.is_ready = False
        self._connections.close()

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def ended(self) -> int:
        """Return the exit code, once its link is closed."""
        self.retire()
        for question in self._questions.values():
            question.cancel()
        await self.link.close()
        try:
            async with asyncio.timeout(_ENDS_S):
                return await self._process.wait()
        except TimeoutError:
            self.kill()
            return await self._process.wait()

    async def give_metrics(self) -> list[Family]:
        """Return its metrics: those of now, or the last it gave where it does not answer.

        One that is starting or ending is not waited for, and has its last counts alone.
        """
        if not self.is_ready:
            return counted(self.metrics)
        number = self._asked = self._asked + 1
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        self.link.send(Kind.GIVE_METRICS, numbered(number))
        await asyncio.wait([answer], timeout=_GIVES_METRICS_S)
        self._questions.pop(number, None)
        if answer.done() and not answer.cancelled():
            self.metrics = read(answer.result())
        return self.metrics

    def take_metrics(self, message: Message) -> None:
        """Take an answer to `give_metrics`, or the metrics that it leaves as it ends."""
        number, data = number_of(message.data)
        question = self._questions.get(number)
        if question is None:
            self.metrics = read(data)
        elif not question.done():
            question.set_result(data)
