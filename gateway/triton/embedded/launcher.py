"""The embedded Triton: started, watched, restarted and stopped with the gateway."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from gateway.triton.embedded import backends
from gateway.triton.embedded.errors import TritonStartError
from gateway.triton.embedded.folder import TritonFolder
from gateway.triton.embedded.log import LogSink, log_line
from gateway.triton.embedded.ports import LOOPBACK, TritonPorts, choose_ports, claimed
from gateway.triton.embedded.runtime import find_runtime
from gateway.triton.embedded.server import TritonServer
from gateway.triton.embedded.watch import WatchedServer

_log = structlog.get_logger("triton")

_PORT_ATTEMPTS = 5
_PORT_TAKEN = "already in use"


class EmbeddedTriton:
    """The real `tritonserver` as a child process on loopback ports.

    It serves a model repository unchanged: `backend: "onnxruntime"` is Triton's own C++ backend
    in production and the Python-based backend of this package here. It runs on the CPU. All
    models are loaded at the start, and can be unloaded and loaded again over gRPC. If the process
    dies it is started again, on the same ports. An async context manager; `start` and `stop` do
    the same.

    Parameters
    ----------
    model_repository : Path
        In Triton's layout. Only read.
    on_log : callable
        Called with each line that the server or a backend process prints.
    on_restart : callable
        Called each time that the server died and is about to be started again.
    trace_endpoint : str, optional
        URL of a collector (OTLP/HTTP) that gets Triton's spans of the requests with a trace.
    start_timeout_s : float
        Seconds from the birth of the process until it is live; every model loads in them.
    stop_grace_s : float
        Seconds the server has to end in order once it is told to stop. It takes two or three when
        nothing is in flight, and all of them if a backend process had died.
    metrics_port : int or None
        Port of its metrics, unless something else is there already; None takes any free port.
    """

    # It knows of each start of the server, so a silent one is none that is being started.
    restarts_silent = True

    def __init__(
        self,
        model_repository: Path,
        *,
        on_log: LogSink = log_line,
        on_restart: Callable[[], None] = lambda: None,
        trace_endpoint: str | None = None,
        start_timeout_s: float = 120.0,
        stop_grace_s: float = 5.0,
        metrics_port: int | None = None,
    ) -> None:
        self._model_repository = model_repository.resolve()
        self._on_log = on_log
        self._on_restart = on_restart
        self._trace_endpoint = trace_endpoint
        self._start_timeout_s = start_timeout_s
        self._stop_grace_s = stop_grace_s
        self._metrics_port = metrics_port
        self._ports: TritonPorts | None = None
        self._watched: WatchedServer | None = None
        self._cleanup = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def grpc_url(self) -> str:
        """Host and port of the gRPC service, the same from `start` to `stop`."""
        return f"{LOOPBACK}:{self._started_ports.grpc}"

    @property
    def http_url(self) -> str:
        """Host and port of the HTTP service, the same from `start` to `stop`."""
        return f"{LOOPBACK}:{self._started_ports.http}"

    @property
    def metrics_url(self) -> str:
        """The address of Triton's Prometheus metrics, the same from `start` to `stop`."""
        return f"http://{LOOPBACK}:{self._started_ports.metrics}/metrics"

    async def start(self) -> None:
        """Return once the server answers; its models are loaded, or have failed, by then.

        Raises
        ------
        UnsupportedPlatformError
            The server cannot run here.
        TritonStartError
            There is no model repository, or the server ended or was not live in time. Its last log
            lines are in the message.
        """
        if not self._model_repository.is_dir():  # Triton would start, and serve nothing
            raise TritonStartError(f"{self._model_repository} is not a folder", ())
        async with contextlib.AsyncExitStack() as cleanup:
            runtime = find_runtime()
            folder = TritonFolder(runtime)
            cleanup.callback(folder.remove)
            metrics_port = self._metrics_port
            if metrics_port and not cleanup.enter_context(claimed(metrics_port)):
                metrics_port = None
            for attempts_left in reversed(range(_PORT_ATTEMPTS)):
                server = TritonServer(
                    runtime=runtime,
                    folder=folder,
                    model_repository=self._model_repository,
                    ports=choose_ports(metrics=metrics_port),
                    start_timeout_s=self._start_timeout_s,
                    stop_grace_s=self._stop_grace_s,
                    on_log=self._on_log,
                    trace_endpoint=self._trace_endpoint,
                )
                try:
                    process = await server.launch()
                    break
                except TritonStartError as error:
                    port_taken = any(_PORT_TAKEN in line for line in error.log_tail)
                    if not (port_taken and attempts_left):
                        raise
            self._ports = server.ports
            self._watched = WatchedServer(server, process, self._on_restart)
            cleanup.push_async_callback(self._watched.stop)
            self._cleanup = cleanup.pop_all()
        _log.info(
            "triton.started", grpc=self.grpc_url, http=self.http_url, metrics=self.metrics_url
        )
        if self._metrics_port not in {None, server.ports.metrics}:
            _log.warning("triton.metrics_port_taken", port=self._metrics_port)

    def lost_backends(self) -> frozenset[int]:
        """Return the ids of backend processes that died and that the server waits for."""
        return self._watched.lost_backends() if self._watched else frozenset()

    def backends_of(self, model_name: str) -> frozenset[int]:
        """Return the ids of the living processes in which the server runs the model."""
        return self._watched.backends_of(model_name) if self._watched else frozenset()

    def end_backends(self, model_name: str, pids: frozenset[int]) -> None:
        """Kill those of these processes in which the server runs the model still."""
        backends.end(pids & self.backends_of(model_name))

    def restart(self) -> bool:
        """Kill the server and start it again; return False where it does not run now."""
        return self._watched is not None and self._watched.restart()

    async def stop(self) -> None:
        """End the server and delete all it left; nothing happens if it was not started."""
        if self._ports is None:
            return
        await self._cleanup.aclose()
        self._ports = self._watched = None
        _log.info("triton.stopped")

    @property
    def _started_ports(self) -> TritonPorts:
        if self._ports is None:
            raise RuntimeError("the embedded Triton is not running")
        return self._ports
