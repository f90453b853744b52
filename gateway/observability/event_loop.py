"""Notes how late the event loop is."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from gateway.observability.metrics import Metrics

# Four looks a second cost nothing that can be measured.
_INTERVAL_S = 0.25


async def observe_lag(metrics: Metrics) -> Never:
    """Observe, again and again, by how much a timer fires late: what every request waits too."""
    while True:
        due = time.perf_counter() + _INTERVAL_S
        await asyncio.sleep(_INTERVAL_S)
        metrics.process.event_loop_lag.observe(max(0.0, time.perf_counter() - due))
