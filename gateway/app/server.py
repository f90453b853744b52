"""Running the application: uvicorn, told to stop the way a pod is."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
import uvicorn
import uvloop

from gateway.app.application import create_app
from gateway.app.start_failures import StartError, logged, told
from gateway.app.tls import ServedCertificate
from gateway.http.middleware.early_refusal import EarlyRefusal
from gateway.http.protocol.pipelining import serving
from gateway.observability.metrics import Metrics, process_registry
from gateway.routing.document import RoutingFileError, read_routing
from gateway.runtime.health import Health
from gateway.settings import DELIMITER, PREFIX
from gateway.triton.embedded import METRICS_PORT, EmbeddedTriton

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from gateway.settings import HttpSettings, Settings
    from gateway.triton.protocol import TritonHost

log = structlog.get_logger()

# Of /dev/shm, for the tensors of a hundred studies at once. Docker gives a container 64 MiB, and
# Triton's backends need their share of them.
_SHARED_WITH_TRITON_BYTES = 32 * 2**20

_REASONS = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "this user may not listen there",
}


class AddressUnavailableError(Exception):
    """The gateway cannot listen where it is to; the message says what to do."""


class GatewayServer(uvicorn.Server):
    """A server that turns readiness off at the first stop signal, and lets work in flight finish.

    Parameters
    ----------
    settings
        The addresses to listen on and the seconds to wait.
    on_ready
        Called with the base URL once the gateway listens.
    metrics
        Made before the gateway, where something before it has metrics too.
    triton_host
        The supervisor of Triton's process, where it can be started anew from here.
    """

    def __init__(
        self,
        settings: Settings,
        on_ready: Callable[[str], None],
        metrics: Metrics | None = None,
        triton_host: TritonHost | None = None,
    ) -> None:
        self._http = settings.http
        self._health = Health()
        self._on_ready = on_ready
        metrics = metrics or Metrics(process_registry())
        certificate = _certificate(settings.http)
        app = create_app(settings, self._health, metrics, certificate, triton_host)
        super().__init__(
            uvicorn.Config(
                EarlyRefusal(app, metrics),
                http=serving(
                    settings.http,
                    on_refused=metrics.admission.rejected.labels("connections").inc,
                    on_unread=metrics.http.unread.inc,
                ),
                ws="none",
                timeout_keep_alive=settings.http.keep_alive_s,
                host=settings.http.host,
                port=settings.http.port,
                log_config=None,
                access_log=False,  # one summary line a study says more; see `gateway.studies`
                server_header=False,
                # uvicorn would believe whatever comes over loopback.
                proxy_headers=bool(settings.http.trusted_proxies),
                forwarded_allow_ips=list(settings.http.trusted_proxies),
                ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
                timeout_graceful_shutdown=int(settings.http.grace_period_s),
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell where."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            self._on_ready(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")

    @property
    def start_error(self) -> Exception | None:
        """The fault that kept the gateway from starting."""
        return self._health.start_error

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT, without raising them again once all is closed."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._on_signal)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self._health.draining:  # the second signal: its sender has no patience left
            self.force_exit = self.should_exit = True
            return
        self._health.drain()
        log.info("gateway.draining", delay_s=self._http.drain_delay_s)
        asyncio.get_running_loop().call_later(self._http.drain_delay_s, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


def run(work: Coroutine[object, object, bool]) -> bool:
    """Return the result of `serve` or `serve_with_triton`, on libuv's event loop.

    It takes less of the processor than asyncio's own for the same study (bench/serving).
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def check_address(http: HttpSettings) -> None:
    """Check that the gateway could listen now, before anything is started for it.

    Raises
    ------
    AddressUnavailableError
        Another program listens there, or this user may not.
    """
    for family, kind, protocol, _, address in socket.getaddrinfo(
        http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        try:
            with socket.socket(family, kind, protocol) as probe:
                # As the listener does: connections that ended a moment ago hold no port.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family is socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno in _REASONS:
                raise AddressUnavailableError(
                    f"the gateway cannot listen on {http.host} port {http.port}: "
                    f"{_REASONS[error.errno]}. {PREFIX}HTTP{DELIMITER}PORT chooses another port"
                ) from error
            # Anything else is the listener's to say: some of it, as of IPv6, it passes over.


def check_routing(settings: Settings) -> None:
    """Check the file of the routing document, before anything is started for it.

    Raises
    ------
    StartError
        It cannot be read, is no routing document, or is none for these tenants.
    """
    if settings.routing.file is None:
        return
    try:
        read_routing(settings.routing.file, settings.tenancy.tenants)
    except RoutingFileError as error:
        raise _not_started(error, settings) from error


def _not_started(error: Exception, settings: Settings) -> StartError:
    """Return the error that ends the command, and log why."""
    log.error("gateway.not_started", **logged(error))
    return StartError(told(error, settings))


def _certificate(http: HttpSettings) -> ServedCertificate | None:
    if http.tls_certificate is None or http.tls_key is None:
        return None
    return ServedCertificate(http.tls_certificate, http.tls_key)


async def serve(
    settings: Settings,
    on_ready: Callable[[str], None],
    metrics: Metrics | None = None,
    triton_host: TritonHost | None = None,
) -> bool:
    """Run the gateway until it is told to stop; return True if it came up at all.

    Raises
    ------
    CertificateError
        It is to speak TLS, and its certificate or key cannot be used.
    AddressUnavailableError
        See `check_address`.
    StartError
        A part of the gateway cannot be opened.
    """
    check_address(settings.http)
    check_routing(settings)
    server = GatewayServer(settings, on_ready, metrics, triton_host)
    try:
        await server.serve()
    except SystemExit:  # uvicorn's end of a start that failed
        if server.start_error is None:
            raise
    if server.start_error is not None:
        raise _not_started(server.start_error, settings) from server.start_error
    return server.started


def serves_console(settings: Settings) -> bool:
    """Return True if `radstream up` serves the console.

    Where nothing is said it does so on its own machine, and elsewhere where sessions have keys.
    """
    if settings.console.enabled is not None:
        return settings.console.enabled
    return settings.http.is_loopback or bool(settings.console.session_keys)


async def serve_with_triton(
    settings: Settings, on_ready: Callable[[str, EmbeddedTriton], None]
) -> bool:
    """Run the embedded Triton and the gateway before it; Triton outlives the gateway.

    Raises
    ------
    SidecarError
        Triton cannot run on this platform, or did not come up.
    CertificateError, AddressUnavailableError, StartError
        See `serve`.
    """
    check_address(settings.http)  # now, rather than when Triton has come up
    check_routing(settings)
    metrics = Metrics(process_registry())
    async with EmbeddedTriton(
        settings.triton.model_repository,
        metrics_port=METRICS_PORT,
        on_restart=metrics.triton.restarts.inc,
        trace_endpoint=settings.tracing.endpoint if settings.tracing.kind == "otlp" else None,
    ) as triton:
        shared_bytes = _SHARED_WITH_TRITON_BYTES
        if "shared_memory_bytes" in settings.triton.model_fields_set:
            shared_bytes = settings.triton.shared_memory_bytes
        wired = settings.model_copy(
            update={
                "triton": settings.triton.model_copy(
                    update={"url": triton.grpc_url, "shared_memory_bytes": shared_bytes}
                ),
                "console": settings.console.model_copy(
                    update={"enabled": serves_console(settings)}
                ),
                "dropfolder": settings.dropfolder.model_copy(
                    update={"watch": settings.dropfolder.watch is not False}
                ),
                "dimse": settings.dimse.model_copy(
                    update={"listen": settings.dimse.listen is not False}
                ),
            }
        )
        return await serve(wired, lambda url: on_ready(url, triton), metrics, triton)
