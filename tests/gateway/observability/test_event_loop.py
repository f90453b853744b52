"""A blocked event loop is seen."""

import asyncio
import time

from prometheus_client import CollectorRegistry

from gateway.app.lifespan.background import running
from gateway.observability.event_loop import observe_lag
from gateway.observability.metrics import Metrics
from gateway.runtime.health import Health
from tests.support.gateway import LiveGateway, until


async def test_a_blocked_event_loop_is_seen() -> None:
    metrics = Metrics(CollectorRegistry())

    def lag(part: str) -> float:
        name = f"radstream_event_loop_lag_seconds_{part}"
        return metrics.registry.get_sample_value(name) or 0

    async with running("event loop lag", observe_lag(metrics), Health()):
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 - what nobody may do: the timer of 0.25 s fires late
        await until(lambda: lag("count") >= 1)
    assert lag("sum") >= 0.2


async def test_a_running_gateway_tells_its_lag(gateway: LiveGateway) -> None:
    async def is_told() -> bool:
        return await gateway.metric("radstream_event_loop_lag_seconds_count") > 0

    await until(is_told)
