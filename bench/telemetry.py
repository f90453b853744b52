"""Cost of telemetry: events per second, CPU per event and memory, through outages and all.

    python bench/telemetry.py --sink file
    python bench/telemetry.py --sink kinesis --events 1000000 --outage 300

Events are offered at a steady rate, or as fast as the gateway's own code makes them. For Kinesis
an emulator of its API (ministack) is started, and the stream is read back in the end: every event
must be in it. An outage stops a relay before the emulator for so many seconds, once a quarter of
the events is out. The emulator's CPU is its own process's and not counted.
"""

import argparse
import asyncio
import datetime as dt
import json
import os
import resource
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from gateway.schemas.telemetry import Stage, TelemetryEvent
from gateway.telemetry.journal import Journal
from gateway.telemetry.json_lines_sink import JsonLinesSink
from gateway.telemetry.kinesis_sink import KinesisSink, kinesis_client
from gateway.telemetry.spool import Spool
from gateway.telemetry.telemetry import Telemetry

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
STAGES = list(Stage)
STREAM = "telemetry"


def event(number: int) -> TelemetryEvent:
    """One of the events of a study, as the gateway makes them."""
    return TelemetryEvent(
        occurred_at=dt.datetime.now(dt.UTC),
        study_ref=f"{number // len(STAGES):032x}",
        stage=STAGES[number % len(STAGES)],
        status="success",
        latency_ms=number % 1000 / 8,
        modality="DX",
        body_part="CHEST",
        view="AP",
        model="cxr_pneumonia",
        model_version="1",
        images=1,
        image_bytes=1_400_000,
        rows=2048,
        columns=2500,
        route="rest",
        gateway_version="0.1.0",
        instance="radstream-7d9f4c5b6-x2x8z",
        trace_id=f"{number // len(STAGES):032x}",
    )


class Relay:
    """Passes bytes on to a port, or closes every connection while it is stopped."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.StreamWriter] = set()
        self.port = _free_port()

    async def start(self) -> None:
        """Take connections."""
        self._server = await asyncio.start_server(self._link, "127.0.0.1", self.port)

    def stop(self) -> None:
        """Refuse connections, and end those there are."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._links):
            writer.transport.abort()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        self._links |= {writer, back}
        await asyncio.gather(_pump(reader, back), _pump(there, writer))
        self._links -= {writer, back}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def emulator(folder: Path) -> AsyncIterator[int]:
    """The port of a Kinesis API."""
    port = _free_port()
    environment = os.environ | CREDENTIALS
    environment |= {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "IOT_MTLS_ENABLED": "0"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ministack"),
        env=environment,
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as client:

            async def is_up() -> bool:
                assert process.returncode is None, "ministack did not come up"
                try:
                    await client.get(f"http://127.0.0.1:{port}/_ministack/health")
                except httpx.TransportError:
                    return False
                return True

            await until(is_up)
        yield port
    finally:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Watch:
    """Memory of this process, looked at while it runs."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.samples: list[tuple[float, int]] = []
        self._began = time.perf_counter()

    async def look(self) -> None:
        """Take a sample every half second."""
        while True:
            at = time.perf_counter() - self._began
            self.samples.append((at, self._process.memory_info().rss))
            await asyncio.sleep(0.5)


async def offer(telemetry: Telemetry, metrics: Metrics, events: int, rate: float) -> float:
    """Seconds of CPU that making and emitting the events took."""
    began, busy = time.perf_counter(), 0.0
    for start in range(0, events, 100):
        before = time.thread_time()
        for number in range(start, min(start + 100, events)):
            telemetry.emit(event(number))
        busy += time.thread_time() - before
        ahead = start / rate - (time.perf_counter() - began) if rate else 0.0
        await asyncio.sleep(max(0.0, ahead))
        if not rate:  # as fast as they are delivered, and no faster
            await until(lambda: value(metrics, "queue_bytes") < 4 * 2**20, look_s=0.001)
    return busy


async def until(condition: Callable[[], bool | Awaitable[bool]], look_s: float = 0.05) -> None:
    """Return when the condition holds."""
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        await asyncio.sleep(look_s)


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """A telemetry metric's value."""
    return metrics.registry.get_sample_value(f"radstream_telemetry_{name}", labels) or 0.0


async def count_in_stream(port: int) -> Counter[str]:
    """Return how often each event is in the stream."""
    found: Counter[str] = Counter()
    async with kinesis_client(region=None, endpoint=f"http://127.0.0.1:{port}") as client:
        for shard in (await client.list_shards(StreamName=STREAM))["Shards"]:
            iterator = (
                await client.get_shard_iterator(
                    StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
                )
            )["ShardIterator"]
            while True:
                page = await client.get_records(ShardIterator=iterator, Limit=5000)
                found.update(json.loads(item["Data"])["event_id"] for item in page["Records"])
                if not page["Records"]:
                    break
                iterator = page["NextShardIterator"]
    return found


def count_in_files(folder: Path) -> Counter[str]:
    """Return how often each event is in the files."""
    return Counter(
        json.loads(line)["event_id"]
        for file in folder.glob("*.jsonl")
        for line in file.read_text().splitlines()
    )


async def run(arguments: argparse.Namespace, folder: Path) -> None:
    """One run, and a table of what it took."""
    metrics = Metrics(CollectorRegistry())
    relay: Relay | None = None
    async with AsyncExitStack() as stack:
        sink: JsonLinesSink | KinesisSink
        port = 0
        if arguments.sink == "kinesis":
            port = await stack.enter_async_context(emulator(folder))
            relay = Relay(port)
            await relay.start()
            client = await stack.enter_async_context(
                kinesis_client(region=None, endpoint=f"http://127.0.0.1:{relay.port}")
            )
            await client.create_stream(StreamName=STREAM, ShardCount=4)
            sink = KinesisSink(client, STREAM, timeout_s=10)
        else:
            sink = JsonLinesSink(folder / "files", file_bytes=64 * 2**20, folder_bytes=2**40)
            stack.push_async_callback(sink.close)
        telemetry = Telemetry(
            sink,
            Spool(folder / "spool", limit_bytes=2**30),
            Journal(folder / "spool"),
            metrics,
            queue_bytes=16 * 2**20,
            linger_s=0.5,
            drain_s=60,
        )
        watch = Watch()
        looking = asyncio.create_task(watch.look())
        cpu, began = _cpu_s(), time.perf_counter()
        async with telemetry.running():
            fault = asyncio.create_task(_outage(relay, metrics, arguments))
            busy = await offer(telemetry, metrics, arguments.events, arguments.rate)
            offered_s = time.perf_counter() - began
            await fault
            await until(
                lambda: value(metrics, "sent_total") >= arguments.events - _dropped(metrics)
            )
        seconds, cpu = time.perf_counter() - began, _cpu_s() - cpu
        looking.cancel()
        if arguments.sink == "kinesis":
            found = await count_in_stream(port)
        else:
            found = count_in_files(folder / "files")
        report(metrics, watch, found, Cost(seconds, offered_s, cpu, busy))
        if relay is not None:
            relay.stop()


def _dropped(metrics: Metrics) -> float:
    reasons = ("queue_full", "spool_full", "damaged")
    return sum(value(metrics, "dropped_total", reason=reason) for reason in reasons)


async def _outage(relay: Relay | None, metrics: Metrics, arguments: argparse.Namespace) -> None:
    if relay is None or not arguments.outage:
        return
    await until(lambda: value(metrics, "queued_total") >= arguments.events / 4)
    relay.stop()
    await asyncio.sleep(arguments.outage)
    await relay.start()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Cost:
    """Time that a run took: all in seconds.

    Parameters
    ----------
    total, offering
        By the clock.
    cpu, making
        Of the CPU: the whole process, and the making and emitting of events alone.
    """

    total: float
    offering: float
    cpu: float
    making: float


def report(metrics: Metrics, watch: Watch, found: Counter[str], cost: Cost) -> None:
    """Print the table."""
    events = int(value(metrics, "queued_total"))
    half = [rss for at, rss in watch.samples if at > watch.samples[-1][0] / 2]
    rows = {
        "events offered": f"{events:,}",
        "distinct events in the sink": f"{len(found):,}",
        "copies beyond the first": f"{found.total() - len(found):,}",
        "dropped": f"{_dropped(metrics):,.0f}",
        "spooled, replayed": f"{value(metrics, 'spooled_total'):,.0f}, "
        f"{value(metrics, 'replayed_total'):,.0f}",
        "seconds, of these offering": f"{cost.total:.1f}, {cost.offering:.1f}",
        "events per second": f"{events / cost.total:,.0f}",
        "CPU per event, all of it": f"{cost.cpu / events * 1e6:.1f} us",
        "CPU per event, making and emitting": f"{cost.making / events * 1e6:.1f} us",
        "resident memory: start, most": f"{watch.samples[0][1] / 2**20:.0f}, "
        f"{max(rss for _, rss in watch.samples) / 2**20:.0f} MiB",
        "its spread over the second half": f"{(max(half) - min(half)) / 2**20:.1f} MiB",
    }
    for name, shown in rows.items():
        print(f"{name:<36} {shown}")


def main() -> None:
    """Run with the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sink", choices=("file", "kinesis"), default="file")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=0, help="events a second; 0: all it can")
    parser.add_argument("--outage", type=float, default=0, help="seconds without Kinesis")
    arguments = parser.parse_args()
    os.environ |= CREDENTIALS
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(arguments, Path(folder)))


if __name__ == "__main__":
    main()
