"""Benchmark of the gateway under more load than it can hold.

    python bench/overload.py --rounds 3 --seconds 15

Starts `radstream up` with the reference model on all cores but one, and offers it studies at 0.5,
1, 2 and 10 times what it can do: open model, so that a slow answer does not slow the offer, and
every study's time counts from when it was to be sent. The generator has the last core for itself.
Each study is a committed radiograph with a number in it, so that none is answered from the store.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "tests/data/images/NORMAL2-IM-0635-0001.jpeg"
LOADS = (0.5, 1.0, 2.0, 10.0)
# Studies in the closed loop that measures the capacity, for each of the gateway's cores: as many
# as one caller may have at work.
AT_ONCE_A_CORE = 4
ANSWER_S = 60.0
BOUNDARY = "bench"


# --- the gateway ---------------------------------------------------------------------------------


@dataclass
class Tree:
    """The gateway's process and all below it."""

    gateway: psutil.Process
    url: str

    def rss(self) -> tuple[int, int]:
        """Bytes of the gateway alone, and of it with Triton and all others."""
        own = self.gateway.memory_info().rss
        whole = own
        for child in self.gateway.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                whole += child.memory_info().rss
        return own, whole

    def cpu_s(self) -> float:
        """Seconds of CPU that all of them have used, those that ended left out."""
        total = 0.0
        for process in (self.gateway, *self.gateway.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total


@contextmanager
def running_gateway(cores: set[int], folder: Path) -> Iterator[Tree]:
    """`radstream up` on these cores, ready; its studies are kept in the folder."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RADSTREAM_")},
        "PYTHONPATH": str(ROOT),
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_STORE__FOLDER": str(folder / "store"),
        "RADSTREAM_DROPFOLDER__WATCH": "false",
        "RADSTREAM_TELEMETRY__FOLDER": str(folder / "telemetry"),
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(folder / "spool"),
        "RADSTREAM_LOGS__FORMAT": "json",
        "ORT_DISABLE_TELEMETRY": "1",
    }
    log = (folder / "gateway.log").open("w")
    process = psutil.Popen(
        [sys.executable, "-m", "gateway", "up"],
        cwd=ROOT,
        env=environment,
        stdout=-1,
        stderr=log,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    try:
        for line in process.stdout:
            if "http://" in line:
                break
        else:
            raise SystemExit((folder / "gateway.log").read_text()[-2000:])
        address = urlsplit(line[line.index("http://") :].split()[0])
        yield Tree(psutil.Process(process.pid), f"{address.hostname}:{address.port}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        log.close()


# --- the generator -------------------------------------------------------------------------------


class Studies:
    """Requests that differ in their study_id and in a comment within the picture."""

    def __init__(self, address: str, image: bytes, *, expect: bool) -> None:
        # A JPEG's comment segment (FF FE, length, text) right behind its start marker.
        document = {"study_id": "X" * 16, "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
        before = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n'
            f"{json.dumps(document)}\r\n--{BOUNDARY}\r\n"
            'Content-Disposition: form-data; name="image"; filename="image.jpeg"\r\n\r\n'
        ).encode() + image[:2]
        body = before + b"\xff\xfe\x00\x12" + b"X" * 16 + image[2:]
        body += f"\r\n--{BOUNDARY}--\r\n".encode()
        self.head = (
            f"POST /v1/studies HTTP/1.1\r\nHost: {address}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
            f"Content-Length: {len(body)}\r\n"
            f"{'Expect: 100-continue' + chr(13) + chr(10) if expect else ''}\r\n"
        ).encode()
        self._pieces = body.split(b"X" * 16)
        self._count = time.time_ns()

    def body(self) -> bytes:
        """The next one."""
        self._count += 1
        return f"{self._count % 16**16:016x}".encode().join(self._pieces)


class Connection(asyncio.Protocol):
    """A connection with one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answered: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport
        self.usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to the other end."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits for an answer."""
        self.usable = False
        if self._answered and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError())

    def data_received(self, data: bytes) -> None:
        """Tell of the status once its answer is whole."""
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end or not self._answered or self._answered.done():
            return
        status = int(head[9:12])
        if status == 100:
            length = 0
        else:
            lengths = [
                line for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
            ]
            length = int(lengths[0][15:])
            self.usable = self.usable and b"connection: close" not in head.lower()
        if len(rest) >= length:
            self._buffer = rest[length:]
            self._answered.set_result(status)

    async def ask(self, *pieces: bytes) -> int:
        """The status that comes for these bytes."""
        self._answered = asyncio.get_running_loop().create_future()
        for piece in pieces:
            self.transport.write(piece)
        return await self._answered


@dataclass
class Phase:
    """Outcome of the studies of one offer.

    Attributes
    ----------
    accepted
        Planned moment of each, and the time until its 200 came; both in seconds.
    others
        Statuses but 200, and how many; 0 stands for a connection that broke.
    late
        Seconds that the generator was behind its own plan at worst.
    """

    offered: float
    seconds: float = 0.0
    accepted: list[tuple[float, float]] = field(default_factory=list)
    others: Counter[int] = field(default_factory=Counter)
    refused: list[float] = field(default_factory=list)
    late: float = 0.0
    rss: tuple[int, int] = (0, 0)
    cpu_s: float = 0.0
    own_cpu_s: float = 0.0

    @property
    def goodput(self) -> float:
        """Studies a second that were answered with 200."""
        return len(self.accepted) / self.seconds

    def quantile_ms(self, share: float) -> float:
        """Milliseconds in which this share of the accepted studies was answered."""
        times = sorted(took for _, took in self.accepted)
        if not times:
            return float("nan")
        return 1000 * times[min(len(times) - 1, int(share * len(times)))]


class Generator:
    """Sends studies over as many connections as it takes, kept open between them."""

    def __init__(self, tree: Tree, *, expect: bool) -> None:
        self._tree = tree
        self._host, port = tree.url.rsplit(":", 1)
        self._port = int(port)
        self._expect = expect
        self._studies = Studies(tree.url, IMAGE.read_bytes(), expect=expect)
        self._idle: deque[Connection] = deque()

    async def closed(self, at_once: int, seconds: float) -> float:
        """Studies a second with so many senders, each of which waits for its answer."""
        end, done = time.perf_counter() + seconds, 0
        failures: Counter[int] = Counter()

        async def sender() -> None:
            nonlocal done
            while time.perf_counter() < end:
                status = await self._send()
                done += status == 200
                failures[status] += status != 200

        began = time.perf_counter()
        await asyncio.gather(*(sender() for _ in range(at_once)))
        if any(failures.values()):
            print(f"  (while the capacity was measured: {+failures})")
        return done / (time.perf_counter() - began)

    async def offer(self, rate: float, seconds: float) -> Phase:
        """Studies at so many a second, whatever becomes of them."""
        phase = Phase(rate)
        before, own = self._tree.cpu_s(), time.process_time()
        watching = asyncio.create_task(self._watch(phase))
        tasks: set[asyncio.Task[None]] = set()
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            if (pause := due - time.perf_counter()) > 0.001:
                await asyncio.sleep(pause)
            elif number % 16 == 0:
                await asyncio.sleep(0)
            phase.late = max(phase.late, time.perf_counter() - due)
            task = asyncio.create_task(self._one(phase, began, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        phase.seconds = max(seconds, time.perf_counter() - began)
        phase.own_cpu_s = time.process_time() - own
        phase.cpu_s = self._tree.cpu_s() - before
        if tasks:
            await asyncio.wait(tasks)
        watching.cancel()
        return phase

    async def _one(self, phase: Phase, began: float, due: float) -> None:
        status = await self._send()
        now = time.perf_counter()
        if status == 200:
            phase.accepted.append((due - began, now - due))
        else:
            phase.others[status] += 1
            phase.refused.append(due - began)

    async def _send(self) -> int:
        try:
            async with asyncio.timeout(ANSWER_S):
                connection = await self._connection()
                body = self._studies.body()
                if self._expect:
                    status = await connection.ask(self._studies.head)
                    if status == 100:
                        status = await connection.ask(body)
                else:
                    status = await connection.ask(self._studies.head, body)
        except (OSError, TimeoutError):
            return 0
        if connection.usable:
            self._idle.append(connection)
        else:
            connection.transport.close()
        return status

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._host, self._port)
        return connection

    async def _watch(self, phase: Phase) -> None:
        while True:
            own, whole = self._tree.rss()
            phase.rss = max(phase.rss[0], own), max(phase.rss[1], whole)
            await asyncio.sleep(0.25)


# --- the rounds ----------------------------------------------------------------------------------


@dataclass
class Round:
    """One measurement of everything; times in seconds."""

    capacity: float
    phases: dict[float, Phase]
    recovery_s: float


async def measure(tree: Tree, cores: int, options: argparse.Namespace) -> Round:
    """The capacity, each load, and how soon the gateway is itself again after the greatest."""
    generator = Generator(tree, expect=options.expect)
    capacity = await generator.closed(AT_ONCE_A_CORE * cores, options.seconds)
    phases: dict[float, Phase] = {}
    for load in LOADS:
        phases[load] = await generator.offer(load * capacity, options.seconds)
    after = await generator.offer(0.5 * capacity, 10.0)
    return Round(capacity, phases, recovery(after, 2 * phases[0.5].quantile_ms(0.5)))


def recovery(after: Phase, usual_ms: float) -> float:
    """Seconds before the first in which nothing was refused and half of all were answered soon."""
    for second in range(int(after.seconds)):
        took = [took for due, took in after.accepted if second <= due < second + 1]
        refused = any(second <= due < second + 1 for due in after.refused)
        if took and not refused and 1000 * statistics.median(took) <= usual_ms:
            return float(second)
    return float("inf")


def told(number: int, found: Round) -> None:
    """Print one round's table."""
    print(f"\nround {number}: capacity {found.capacity:.1f} studies/s")
    print(
        "| load | offered/s | goodput/s | p50 ms | p99 ms | refused | other "
        "| gateway MB | all MB | CPU ms/study | generator CPU | late ms |"
    )
    print("| ---: " * 12 + "|")
    for load, phase in found.phases.items():
        refused = phase.others.pop(503, 0)
        cells = (
            f"{load:g}x",
            f"{phase.offered:.0f}",
            f"{phase.goodput:.1f}",
            f"{phase.quantile_ms(0.5):.0f}",
            f"{phase.quantile_ms(0.99):.0f}",
            str(refused),
            str(dict(phase.others) or 0),
            f"{phase.rss[0] / 2**20:.0f}",
            f"{phase.rss[1] / 2**20:.0f}",
            f"{1000 * phase.cpu_s / max(1, len(phase.accepted)):.1f}",
            f"{100 * phase.own_cpu_s / phase.seconds:.0f} %",
            f"{1000 * phase.late:.0f}",
        )
        print(f"| {' | '.join(cells)} |")
    print(f"itself again {found.recovery_s:.1f} s after the flood")


def ratios(rounds: list[Round]) -> None:
    """Print what the targets are about: the median of the rounds, and each."""
    goodput, slowness, recovery = [], [], []
    for found in rounds:
        best = max(phase.goodput for phase in found.phases.values())
        goodput.append(found.phases[10.0].goodput / best)
        slowness.append(found.phases[10.0].quantile_ms(0.99) / found.phases[1.0].quantile_ms(0.99))
        recovery.append(found.recovery_s)
    print("\n| target | median | rounds |")
    print("| --- | ---: | --- |")
    for target, values in (
        ("goodput at 10x, of the best (at least 0.90)", goodput),
        ("p99 of accepted at 10x, of that at 1x (at most 2)", slowness),
        ("recovery in s (at most 5)", recovery),
    ):
        each = ", ".join(f"{value:.2f}" for value in values)
        print(f"| {target} | {statistics.median(values):.2f} | {each} |")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each load")
    parser.add_argument("--expect", action="store_true", help="send Expect: 100-continue")
    options = parser.parse_args()
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise SystemExit("needs two cores: one is the generator's")
    served = set(available[:-1])
    rounds = []
    with tempfile.TemporaryDirectory() as folder, running_gateway(served, Path(folder)) as tree:
        os.sched_setaffinity(0, {available[-1]})
        print(f"gateway and Triton on {len(served)} core(s); {IMAGE.stat().st_size} bytes a study")
        await Generator(tree, expect=False).closed(2, 3.0)  # warm
        for number in range(1, options.rounds + 1):
            rounds.append(await measure(tree, len(served), options))
            told(number, rounds[-1])
    ratios(rounds)


if __name__ == "__main__":
    asyncio.run(main())
