"""The context that every part of the gateway is opened in."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.app.lifespan.background import running

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AsyncExitStack

    from opentelemetry.trace import Tracer

    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.runtime.health import Health
    from gateway.settings import Settings
    from gateway.triton.protocol import TritonHost


@dataclass(frozen=True, slots=True)
class LifespanContext:
    """The settings and instruments that every part of the gateway is opened with.

    Parameters
    ----------
    settings, metrics, health, tracer, pseudonyms
        As for the whole gateway.
    stack
        Closes in reverse whatever is opened.
    triton_host
        The supervisor of Triton's process, where the gateway runs it itself.
    instance
        Host name of this gateway.
    """

    settings: Settings
    metrics: Metrics
    health: Health
    tracer: Tracer
    pseudonyms: Pseudonyms
    stack: AsyncExitStack
    triton_host: TritonHost | None = None
    instance: str = field(default_factory=socket.gethostname)

    async def run(self, name: str, work: Coroutine[object, object, object]) -> None:
        """Run the work beside the requests from now on, until the stack is closed."""
        await self.stack.enter_async_context(running(name, work, self.health))
