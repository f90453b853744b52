"""One run of the server, from its birth under a guardian to its last line of output."""

import asyncio
import contextlib
import signal
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from gateway.triton.embedded.backends import backends_of, lost_backends
from gateway.triton.embedded.folder import TritonFolder
from gateway.triton.embedded.log import LogSink, parse_line

GUARDIAN = Path(__file__).with_name("guardian.py")
_TAIL_LINES = 30
_LINE_LIMIT = 1 << 20  # a model's configuration or traceback comes as one line
_POLL_S = 0.1
_KILL_MARGIN_S = 5.0  # for the guardian to kill, reap and tidy up after the grace


class GuardedProcess:
    """A running server in a session of its own, so that Ctrl-C reaches it through us alone."""

    def __init__(
        self,
        guardian: asyncio.subprocess.Process,
        folder: TritonFolder,
        grace_s: float,
        on_log: LogSink,
    ) -> None:
        self._guardian = guardian
        self._folder = folder
        self._grace_s = grace_s
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._reader = asyncio.create_task(self._read_output(on_log))

    @classmethod
    async def spawn(
        cls,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        folder: TritonFolder,
        grace_s: float,
        on_log: LogSink,
    ) -> Self:
        """Return the started process; it need not be live yet."""
        guardian = await asyncio.create_subprocess_exec(
            # Isolated and without site: nothing of this environment can keep it from its work.
            *(sys.executable, "-I", "-S", GUARDIAN, "--grace", str(grace_s)),
            *("--shm-prefix", folder.shm_prefix, "--folder", folder.path, "--"),
            *command,
            stdin=asyncio.subprocess.PIPE,  # never written: it closes when this process dies
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            pass_fds=(folder.lock_fd,),
            limit=_LINE_LIMIT,
        )
        return cls(guardian, folder, grace_s, on_log)

    @property
    def log_tail(self) -> tuple[str, ...]:
        """The last lines of output, oldest first."""
        return tuple(self._tail)

    def lost_backends(self) -> frozenset[int]:
        """Return the ids of backend processes that died and that the server waits for."""
        return lost_backends(self._guardian.pid)

    def backends_of(self, model_name: str) -> frozenset[int]:
        """Return the ids of the living processes in which the server runs the model."""
        return backends_of(self._guardian.pid, model_name)

    async def wait(self) -> int:
        """Return the exit code, once the server and its backend processes have ended."""
        exit_code = await self._guardian_exit()
        guardian_was_killed = exit_code < 0
        # The server and its backend processes hold the other end of the pipe that is read.
        while not self._reader.done():
            if guardian_was_killed:
                self._folder.kill_backend_processes()
            await asyncio.wait([self._reader], timeout=_POLL_S if guardian_was_killed else None)
        self._folder.remove_shared_memory()
        return exit_code

    async def _guardian_exit(self) -> int:
        # Not Process.wait(): before Python 3.12.5 it waits for the pipe to close as well, and a
        # backend process that outlives a killed guardian holds that open.
        while (exit_code := self._guardian.returncode) is None:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(_POLL_S)
        return exit_code

    async def stop(self) -> None:
        """End the server: in order within the grace, by force after it."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End the server at once."""
        await self._end(signal.SIGINT)

    async def _end(self, request: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._guardian.send_signal(request)
        try:
            async with asyncio.timeout(self._grace_s + _KILL_MARGIN_S):
                await self.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._guardian.kill()  # whereupon the kernel kills the server
            await self.wait()

    async def _read_output(self, on_log: LogSink) -> None:
        output = self._guardian.stdout
        assert output is not None  # noqa: S101 - for the type checker: it is a pipe
        while True:
            try:
                raw = await output.readline()
            except ValueError:  # longer than the limit; the stream has dropped it
                continue
            if not raw:
                return
            text = raw.decode(errors="replace").rstrip()
            if line := parse_line(text):
                self._tail.append(text)
                on_log(line)
