"""Running the gateway with a Triton of its own, beside whose start the gateway is imported."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvloop

from gateway.app.start_checks import check_address, check_routing
from gateway.runtime.imports import importing
from gateway.triton.embedded import METRICS_PORT, EmbeddedTriton

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from gateway.observability.metrics import Metrics
    from gateway.settings import Settings
    from gateway.triton.protocol import TritonHost

    Serve = Callable[
        [Settings, Callable[[str], None], Metrics | None, TritonHost | None], Awaitable[bool]
    ]

# Of /dev/shm, for the tensors of a hundred studies at once. Docker gives a container 64 MiB, and
# Triton's backends need their share of them.
_SHARED_WITH_TRITON_BYTES = 32 * 2**20


def run(work: Coroutine[object, object, bool]) -> bool:
    """Return the result of `serve` or `serve_with_triton`, on libuv's event loop.

    It takes less of the processor than asyncio's own for the same study (bench/serving).
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


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
    gateway = asyncio.create_task(asyncio.to_thread(_import_gateway))

    def count_restart() -> None:
        gateway.add_done_callback(lambda done: done.result()[1].triton.restarts.inc())

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
        serve, metrics = await gateway
        return await serve(wired, lambda url: on_ready(url, triton), metrics, triton)


def _import_gateway() -> tuple[Serve, Metrics]:
    """Return the function that runs the gateway, and its metrics."""
    with importing():
        from gateway.app.server import serve  # noqa: PLC0415 - see `serve_with_triton`
        from gateway.observability.metrics import Metrics, process_registry  # noqa: PLC0415

    return serve, Metrics(process_registry())
