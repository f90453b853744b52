"""Running the application: uvicorn, told to stop the way a pod is."""

from __future__ import annotations

import asyncio
import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
import uvicorn

from gateway.app.application import create_app
from gateway.app.event_loop import stop_signals
from gateway.app.start_checks import check_address, check_routing, url_of
from gateway.app.start_failures import not_started
from gateway.app.tls import ServedCertificate
from gateway.http.middleware.early_refusal import EarlyRefusal
from gateway.http.protocol.pipelining import serving
from gateway.observability.metrics import Metrics, process_registry
from gateway.runtime.health import Health

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from gateway.app.lifespan.context import WorkerPlace
    from gateway.settings import HttpSettings, Settings
    from gateway.triton.protocol import TritonHost

log = structlog.get_logger()


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
    worker
        The process's place in a gateway of several processes; None where there is one.
    """

    def __init__(
        self,
        settings: Settings,
        on_ready: Callable[[str], None],
        metrics: Metrics | None = None,
        triton_host: TritonHost | None = None,
        worker: WorkerPlace | None = None,
    ) -> None:
        self._http = settings.http
        self.health = Health()
        self._on_ready = on_ready
        self._metrics = metrics = metrics or Metrics(process_registry())
        certificate = _certificate(settings.http)
        app = create_app(
            settings,
            self.health,
            metrics,
            certificate=certificate,
            triton_host=triton_host,
            worker=worker,
        )
        self.protocol = serving(
            settings.http,
            on_refused=metrics.admission.rejected.labels("connections").inc,
            on_unread=metrics.http.unread.inc,
            on_lost=self.on_connection_lost,
        )
        super().__init__(
            uvicorn.Config(
                EarlyRefusal(app, metrics),
                http=self.protocol,
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
            gc.freeze()  # what there is by now stays, and looking it over would hold up the loop
            self._metrics.workers.serving.set(1)
            self.on_started()

    def on_started(self) -> None:
        """Tell where it listens."""
        self._on_ready(url_of(self.servers[0].sockets[0], is_tls=self.config.is_ssl))

    def on_connection_lost(self) -> None:
        """Note that a connection is over; nobody asks, where the gateway is one process."""

    @property
    def start_error(self) -> Exception | None:
        """The fault that kept the gateway from starting."""
        return self.health.start_error

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT, without raising them again once all is closed."""
        with stop_signals(self._on_signal):
            yield

    def _on_signal(self) -> None:
        if self.health.draining:  # the second signal: its sender has no patience left
            self.force_exit = self.should_exit = True
            return
        self.health.drain()
        log.info("gateway.draining", delay_s=self._http.drain_delay_s)
        asyncio.get_running_loop().call_later(self._http.drain_delay_s, self._stop)

    def _stop(self) -> None:
        self.should_exit = True


def _certificate(http: HttpSettings) -> ServedCertificate | None:
    if http.tls_certificate is None or http.tls_key is None:
        return None
    return ServedCertificate(http.tls_certificate, http.tls_key)


async def serve(
    settings: Settings,
    on_ready: Callable[[str], None],
    triton_host: TritonHost | None = None,
    *,
    metrics: Metrics | None = None,
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
    return await came_up(GatewayServer(settings, on_ready, metrics, triton_host), settings)


async def came_up(
    server: GatewayServer, settings: Settings, sockets: list[socket.socket] | None = None
) -> bool:
    """Run a server until it is told to stop; return True if it came up at all.

    Parameters
    ----------
    sockets
        Sockets to listen on; the settings' address where None are given.

    Raises
    ------
    StartError
        See `serve`.
    """
    try:
        await server.serve(sockets)
    except SystemExit:  # uvicorn's end of a start that failed
        if server.start_error is None:
            raise
    if server.start_error is not None:
        raise not_started(server.start_error, settings) from server.start_error
    return server.started
