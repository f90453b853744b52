"""One `tritonserver`: its command line, its environment, and the wait until it is live."""

import asyncio
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from gateway.triton.embedded.backends import wait_until_lost
from gateway.triton.embedded.errors import TritonStartError
from gateway.triton.embedded.folder import TritonFolder
from gateway.triton.embedded.log import LogSink
from gateway.triton.embedded.ports import LOOPBACK, TritonPorts
from gateway.triton.embedded.process import GuardedProcess
from gateway.triton.embedded.runtime import TritonRuntime

_LIVE_POLL_S = 0.05
# Triton notices within two seconds that a backend died which it had heard of.
_LOST_FOR_S = 4.0

# Of the requests that bring no trace, the golden images', one in so many is traced: none.
# Those with a trace are always traced.
_UNASKED_TRACE_RATE = 2**31 - 1
_TRACE_LINGER_MS = 1000

# All that the server inherits of the gateway's environment, which may hold secrets.
_INHERITED = ("HOME", "LANG", "LC_", "MALLOC_", "OMP_", "OPENBLAS_", "TMPDIR", "TZ")


@dataclass(frozen=True, slots=True)
class TritonServer:
    """A server ready to be launched, as often as need be, always on the same ports.

    Attributes
    ----------
    runtime : TritonRuntime
        The installed server.
    folder : TritonFolder
        The folder that it runs from.
    model_repository : Path
        Absolute path of the models.
    ports : TritonPorts
        Its ports, on the loopback address only.
    start_timeout_s : float
        Seconds within which it must be live.
    stop_grace_s : float
        Seconds between the request to stop and the kill.
    on_log : callable
        Takes each line of its output.
    trace_endpoint : str or None
        URL of the collector that gets its spans, if any.
    """

    runtime: TritonRuntime
    folder: TritonFolder
    model_repository: Path
    ports: TritonPorts
    start_timeout_s: float
    stop_grace_s: float
    on_log: LogSink
    trace_endpoint: str | None = None

    async def launch(self) -> GuardedProcess:
        """Return the process of a server that answers.

        Raises
        ------
        TritonStartError
            It ended first, or did not answer in time; nothing of it is left.
        """
        process = await GuardedProcess.spawn(
            self._command(),
            environment=self._environment(),
            folder=self.folder,
            grace_s=self.stop_grace_s,
            on_log=self.on_log,
        )
        try:
            await self._wait_until_live(process)
        except BaseException:  # cancellation too must leave no process
            await process.kill()
            raise
        return process

    @property
    def _id(self) -> str:
        return self.folder.path.name

    def _command(self) -> list[str | Path]:
        return [
            self.runtime.server,
            f"--id={self._id}",
            f"--model-repository={self.model_repository}",
            f"--backend-directory={self.folder.backends}",
            # Explicit, so that a model whose backend process died can be unloaded and loaded.
            "--model-control-mode=explicit",
            "--load-model=*",
            # One broken model must not keep the others from being served.
            "--exit-on-error=false",
            f"--exit-timeout-secs={self.stop_grace_s:.0f}",
            f"--grpc-address={LOOPBACK}",
            f"--grpc-port={self.ports.grpc}",
            f"--http-address={LOOPBACK}",
            f"--http-port={self.ports.http}",
            f"--metrics-address={LOOPBACK}",
            f"--metrics-port={self.ports.metrics}",
            f"--backend-config=python,shm-region-prefix-name={self.folder.shm_prefix}",
            # There is no GPU here: no pool that could not be made, no metrics of none.
            "--pinned-memory-pool-byte-size=0",
            "--allow-gpu-metrics=false",
            *self._tracing(),
        ]

    def _tracing(self) -> list[str]:
        if self.trace_endpoint is None:
            return []
        settings = (
            "mode=opentelemetry",
            "level=TIMESTAMPS",
            f"rate={_UNASKED_TRACE_RATE}",
            f"opentelemetry,url={self.trace_endpoint}",
            f"opentelemetry,bsp_schedule_delay={_TRACE_LINGER_MS}",
        )
        return [f"--trace-config={setting}" for setting in settings]

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k.startswith(_INHERITED)}
        return (
            inherited
            | self.folder.environment(self.runtime)
            | {
                # Without devices every instance group of KIND_AUTO is one of KIND_CPU.
                "CUDA_VISIBLE_DEVICES": "",
                # Without it onnxruntime 1.32 writes a device id and a queue of usage events to the
                # home folder as soon as it is imported, and sends them to its maker.
                "ORT_DISABLE_TELEMETRY": "1",
            }
        )

    async def _wait_until_live(self, process: GuardedProcess) -> None:
        ended = asyncio.create_task(process.wait())
        live = asyncio.create_task(self._poll_until_live())
        stuck = asyncio.create_task(wait_until_lost(process.lost_backends, _LOST_FOR_S))
        try:
            await asyncio.wait(
                {ended, live, stuck},
                timeout=self.start_timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if live.done():
                return live.result()
            if ended.done():
                raise TritonStartError(f"exit code {ended.result()}", process.log_tail)
            if stuck.done():
                raise TritonStartError("a backend process died as it started", process.log_tail)
            raise TritonStartError(f"not live after {self.start_timeout_s:g} s", process.log_tail)
        finally:
            for task in (ended, live, stuck):
                task.cancel()

    async def _poll_until_live(self) -> None:
        """Return once this very server, known by its id, answers on its HTTP and metrics ports.

        Triton opens its ports when the models are loaded: first gRPC, then HTTP, then metrics.
        """
        async with aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://{LOOPBACK}:{self.ports.http}/v2") as answer:
                        metadata = await answer.text()
                    async with session.get(f"http://{LOOPBACK}:{self.ports.metrics}/metrics"):
                        pass
                    if self._id in metadata:
                        return
                await asyncio.sleep(_LIVE_POLL_S)
