"""Running the gateway, in one process or several, with a Triton of its own or without.

A Triton of its own starts while the gateway is imported.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from gateway.app.start_checks import check_address, check_routing
from gateway.runtime.imports import importing
from gateway.triton.embedded import METRICS_PORT, EmbeddedTriton

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gateway.observability.metrics.triton import TritonMetrics
    from gateway.settings import Settings
    from gateway.triton.protocol import TritonHost

    Serve = Callable[
        [Settings, Callable[[str], None], TritonHost | None], Coroutine[object, object, bool]
    ]

# Of /dev/shm, for the tensors of a hundred studies at once. Docker gives a container 64 MiB, and
# Triton's backends need their share of them.
_SHARED_WITH_TRITON_BYTES = 32 * 2**20


class Serving(NamedTuple):
    """The function that runs a gateway, and the metrics of its Triton."""

    serve: Serve
    triton: TritonMetrics


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

    The gateway's modules are imported while Triton starts: each takes about two seconds.

    Raises
    ------
    SidecarError
        Triton cannot run on this platform, or did not come up.
    CertificateError, AddressUnavailableError, StartError
        See `serve`.
    """
    check_address(settings.http)
    check_routing(settings)
    gateway = asyncio.create_task(asyncio.to_thread(serving, settings))

    def count_restart() -> None:
        gateway.add_done_callback(lambda done: done.result().triton.restarts.inc())

    async with EmbeddedTriton(
        settings.triton.model_repository,
        metrics_port=METRICS_PORT,
        on_restart=count_restart,
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
        serve = (await gateway).serve
        return await serve(wired, lambda url: on_ready(url, triton), triton)


def serving(settings: Settings) -> Serving:
    """Return what runs the gateway in as many processes as the settings say; see `serve`."""
    if settings.http.workers > 1:
        return _several()
    with importing():
        from gateway.app.server import serve  # noqa: PLC0415 - see `serve_with_triton`
        from gateway.observability.metrics import Metrics, process_registry  # noqa: PLC0415

    metrics = Metrics(process_registry())
    return Serving(partial(serve, metrics=metrics), metrics.triton)


def _several() -> Serving:
    with importing():  # and not the application, which is the workers' alone
        from gateway.app.workers.supervisor import serve_workers  # noqa: PLC0415
        from gateway.app.workers.supervisor_metrics import SupervisorMetrics  # noqa: PLC0415

    metrics = SupervisorMetrics()
    return Serving(partial(serve_workers, metrics=metrics), metrics.triton)
