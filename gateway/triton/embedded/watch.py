"""Starts a server again whenever it dies."""

import asyncio
import time
from collections.abc import Callable

import structlog

from gateway.runtime.backoff import Backoff
from gateway.triton.embedded.errors import TritonStartError
from gateway.triton.embedded.process import GuardedProcess
from gateway.triton.embedded.server import TritonServer

_log = structlog.get_logger("triton")

_BACKOFF = Backoff(first_s=0.5, longest_s=30.0)
_STEADY_AFTER_S = 60.0  # a server that lived this long did not die of its start


class WatchedServer:
    """A live server that is restarted, on the same ports, until it is stopped.

    The delay before a restart doubles from half a second to half a minute while the server keeps
    dying, and begins anew once it has lived for a minute, or where the restart was asked for.
    """

    def __init__(
        self, server: TritonServer, process: GuardedProcess, on_restart: Callable[[], None]
    ) -> None:
        self._server = server
        self._on_restart = on_restart
        self._process = process
        self._restart_asked = asyncio.Event()
        self._starting = False
        self._watch = asyncio.create_task(self._keep_running())

    def lost_backends(self) -> frozenset[int]:
        """See `GuardedProcess.lost_backends`."""
        return frozenset() if self._starting else self._process.lost_backends()

    def backends_of(self, model_name: str) -> frozenset[int]:
        """See `GuardedProcess.backends_of`."""
        return frozenset() if self._starting else self._process.backends_of(model_name)

    def restart(self) -> bool:
        """Kill the server and start it again; return False where it is being started already."""
        if self._starting or self._restart_asked.is_set():
            return False
        self._restart_asked.set()
        return True

    async def stop(self) -> None:
        """End the watch and the server."""
        self._watch.cancel()
        await asyncio.wait([self._watch])
        await self._process.stop()

    async def _keep_running(self) -> None:
        deaths = 0
        while True:
            live_since = time.monotonic()
            exit_code = await self._ended()
            uptime_s = time.monotonic() - live_since
            if uptime_s > _STEADY_AFTER_S or self._restart_asked.is_set():
                deaths = 0
            delay_s = _BACKOFF.wait_s(deaths)
            _log.error(
                "triton.died",
                exit_code=exit_code,
                uptime_s=uptime_s,
                restart_in_s=round(delay_s, 1),
            )
            self._starting = True
            deaths = await self._start_again(deaths, delay_s)
            self._starting = False
            self._restart_asked.clear()

    async def _ended(self) -> int:
        """Return the exit code, once the server has died or was killed for a restart."""
        ended = asyncio.create_task(self._process.wait())
        asked = asyncio.create_task(self._restart_asked.wait())
        try:
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._process.kill()
            return await ended
        finally:
            ended.cancel()
            asked.cancel()

    async def _start_again(self, deaths: int, delay_s: float) -> int:
        """Bring the server back; return how often it has died or not come up in a row."""
        while True:
            await asyncio.sleep(delay_s)
            deaths += 1
            delay_s = _BACKOFF.wait_s(deaths)
            self._on_restart()
            try:
                self._process = await self._server.launch()
            except TritonStartError as error:
                _log.error(
                    "triton.restart_failed", reason=str(error), restart_in_s=round(delay_s, 1)
                )
            else:
                _log.info("triton.restarted")
                return deaths
