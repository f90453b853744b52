"""A pool of processes for the codecs that a hostile file can make slow, large or crash.

A thread inside a codec cannot be stopped; a process can. JPEG, PNG, RLE and uncompressed DICOM
decode in a time that their size bounds, so they stay in the calling thread.

Not `ProcessPoolExecutor`: it cannot end one worker, and a worker that dies breaks the pool.
"""

import json
import logging
import os
import queue
import selectors
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self

from preprocess import transfer_syntaxes, wire
from preprocess.dataset import read_file
from preprocess.decode import decode, sniff
from preprocess.errors import CorruptImageError, DecodeTimeoutError
from preprocess.types import Buffer, Frame, Limits, MediaType

log = logging.getLogger(__name__)

_START_S = 60.0  # a cold interpreter on a busy machine; five to ten times the usual
_READY = b"ready\n"


def is_risky(data: Buffer, limits: Limits) -> bool:
    """Return True if the file is to be decoded in a process that can be killed.

    Raises
    ------
    UnrecognisedImageError, CorruptImageError, UnsupportedImageError
    """
    if sniff(data) is not MediaType.DICOM:
        return False
    return read_file(data, (), limits).transfer_syntax_uid in transfer_syntaxes.RISKY


class DecodeWorkers:
    """`decode` under a budget of time and memory that is kept.

    Processes are started when first needed, used again, and replaced when killed. Threads may
    share a pool; use it as a context manager or `close` it.

    Parameters
    ----------
    count : int
        Most processes at a time. A further call waits for one within its own time.
    timeout_s : float
        Longest time for one file, in seconds.
    memory_bytes : int
        Memory that one decode may take, over that of the idle process.
    """

    def __init__(
        self, count: int = 1, *, timeout_s: float = 10.0, memory_bytes: int = 480 << 20
    ) -> None:
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._workers = [_Worker(memory_bytes) for _ in range(count)]
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)

    def decode(
        self,
        data: Buffer,
        limits: Limits | None = None,
        *,
        at_least: tuple[int, int] | None = None,
        timeout_s: float | None = None,
    ) -> tuple[Frame, ...]:
        """Return the frames of a file, as `preprocess.decode` gives them.

        Parameters
        ----------
        data, limits, at_least
            See `preprocess.decode`.
        timeout_s : float, optional
            Seconds that the caller has left, if fewer than the pool's own limit.

        Raises
        ------
        DecodeTimeoutError
            The time was up; the process was killed.
        TooMuchMemoryError
            The memory was not enough.
        PreprocessError
            One of its other kinds.
        """
        limits = limits or Limits()
        if not is_risky(data, limits):
            return decode(data, limits, at_least=at_least)
        began = time.monotonic()
        budget_s = min(self._timeout_s, timeout_s if timeout_s is not None else self._timeout_s)
        deadline = began + budget_s
        try:
            worker = self._idle.get(timeout=budget_s)
        except queue.Empty as error:
            raise DecodeTimeoutError(budget_s) from error
        try:
            deadline += worker.start()
            if timeout_s is not None:
                deadline = min(deadline, began + timeout_s)
            head = wire.pack_request(len(data), limits, at_least, budget_s)
            return worker.ask(head, data, limits, max(deadline, time.monotonic() + 0.1))
        except TimeoutError as error:
            worker.kill()
            raise DecodeTimeoutError(budget_s) from error
        # The process died (a crash, or the system's memory), or wrote what it never writes.
        except (OSError, ValueError, KeyError, AttributeError) as error:
            worker.kill()
            raise CorruptImageError("the file made its decoder crash") from error
        finally:
            self._idle.put(worker)

    @property
    def busy(self) -> int:
        """Processes that are at a file now."""
        return len(self._workers) - self._idle.qsize()

    def close(self) -> None:
        """Kill every process."""
        for worker in self._workers:
            worker.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Worker:
    """One process, or none yet."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start a process where there is none; return the seconds until it was ready.

        They are not the file's: on a busy machine a good one would be refused for them.
        """
        if self._process is not None and self._process.poll() is None:
            return 0.0
        began = time.monotonic()
        self.kill()
        self._process = subprocess.Popen(  # noqa: S603  # this interpreter, this package
            [sys.executable, "-P", "-m", "preprocess.worker", str(self._memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # until the process has taken it over
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        if _Conversation(self._process, time.monotonic() + _START_S).line() != _READY:
            raise OSError("the decode process did not start")
        return time.monotonic() - began

    def kill(self) -> None:
        """End the process, if there is one."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def ask(
        self, request: bytes, data: Buffer, limits: Limits, deadline: float
    ) -> tuple[Frame, ...]:
        """Return the answer to a request.

        Raises
        ------
        PreprocessError
            The process answered with one.
        TimeoutError, OSError, ValueError
            It did not answer in time, or not at all, or not sensibly.
        """
        talk = _Conversation(self._process, deadline)
        talk.send(request)
        talk.send(data)
        head: dict[str, Any] = json.loads(talk.line())
        frames = () if "error" in head else wire.unpack_frames(head, limits)
        for frame in frames:
            talk.read_into(frame.samples.data.cast("B"))
        if json.loads(talk.line())["complained"]:
            log.warning("a codec complained of a file")
        if "error" in head:
            raise wire.unpack_error(head)
        return frames


class _Conversation:
    """The pipes to and from a process, used up to a deadline."""

    def __init__(self, process: subprocess.Popen[bytes] | None, deadline: float) -> None:
        if process is None or process.stdin is None or process.stdout is None:
            raise OSError("there is no decode process")
        self._input, self._output = process.stdin.fileno(), process.stdout.fileno()
        self._deadline = deadline

    def send(self, data: Buffer) -> None:
        os.set_blocking(self._input, False)
        view = memoryview(data)
        while view:
            self._wait(self._input, selectors.EVENT_WRITE)
            view = view[os.write(self._input, view) :]

    def line(self) -> bytes:
        """Return bytes up to the end of a line, and none of the samples that may follow it."""
        line = bytearray()
        while not line.endswith(b"\n"):
            self._wait(self._output, selectors.EVENT_READ)
            byte = os.read(self._output, 1)
            if not byte or len(line) > wire.HEAD_BYTES:
                raise OSError("the decode process ended")
            line += byte
        return bytes(line)

    def read_into(self, view: memoryview) -> None:
        while view:
            self._wait(self._output, selectors.EVENT_READ)
            count = os.readv(self._output, [view])
            if not count:
                raise OSError("the decode process ended")
            view = view[count:]

    def _wait(self, descriptor: int, event: int) -> None:
        left = self._deadline - time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            if left <= 0 or not selector.select(left):
                raise TimeoutError
