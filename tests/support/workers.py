"""A live gateway of several processes, whose first process is this one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psutil

from gateway.app.workers.supervisor import Supervisor
from gateway.app.workers.supervisor_metrics import SupervisorMetrics
from gateway.settings import Settings
from tests.support.gateway import metadata, metric, multipart, until
from tests.support.models import flat_png


class _Supervisor(Supervisor):
    """Leaves signals to pytest."""

    @contextmanager
    def stop_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True)
class LiveWorkers:
    """Workers that serve, as their first process sees them."""

    url: str
    settings: Settings
    supervisor: Supervisor
    task: asyncio.Task[bool]

    def process(self, number: int) -> psutil.Process:
        """The process of a worker."""
        return psutil.Process(self.supervisor._workers[number].pid)

    def open_connections(self) -> dict[int, int]:
        """By worker, the connections that it was given and has not closed."""
        workers = self.supervisor._workers
        return {number: worker.open_connections for number, worker in workers.items()}

    def given(self) -> dict[int, int]:
        """By worker, the connections that it was given."""
        workers = self.supervisor._workers
        return {number: worker.given for number, worker in workers.items()}

    def client(self) -> httpx.AsyncClient:
        """A client, which keeps its connection."""
        return httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False)

    async def metrics(self) -> str:
        """The metrics of all, over a connection of its own."""
        async with self.client() as client:
            return (await client.get("/metrics")).text

    async def metric(self, name: str, **labels: str) -> float:
        """A sample's value now, of all together."""
        return metric(await self.metrics(), name, **labels)

    async def all_ready(self) -> None:
        """Wait until every worker serves."""
        count = self.settings.http.workers

        async def is_whole() -> bool:
            return await self.metric("radstream_workers") == count

        await until(is_whole)

    def stop(self) -> None:
        """Do what a signal does."""
        self.supervisor._on_signal()


@asynccontextmanager
async def running_workers(settings: Settings) -> AsyncIterator[LiveWorkers]:
    """Workers that serve; stopped at the end."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    supervisor = _Supervisor(settings, SupervisorMetrics(), None)
    task = asyncio.create_task(supervisor.run(listening.set_result))
    waits: set[asyncio.Future[Any]] = {listening, task}
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    if not listening.done():
        await task
        raise AssertionError("the gateway did not come up")
    live = LiveWorkers(listening.result(), settings, supervisor, task)
    try:
        yield live
    finally:
        if not task.done():
            live.stop()
        await task


async def send(client: httpx.AsyncClient, brightness: int = 7) -> httpx.Response:
    """Send a new study."""
    return await client.post("/v1/studies", **multipart(metadata(), flat_png(brightness)))
