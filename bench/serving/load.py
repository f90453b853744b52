"""A load generator: sends studies and says how they fared.

    python -m bench.serving.load URL PATH KIND IMAGE --studies 200 --concurrency 16
    python -m bench.serving.load URL PATH KIND IMAGE --studies 200 --rate 15

The first keeps 16 requests under way, each on a connection of its own (closed model). The second
sends 15 a second on average, whatever becomes of them, with the gaps of a Poisson process (open
model): a study's time counts from when it was to be sent.

Sends the bytes as they lie in memory, head, image and tail by one `sendmsg`, and looks at nothing
of the answer but its status and length, so that it costs one or two milliseconds a study. Prints
one JSON document: seconds of each request, their statuses, and its own CPU time.
"""

import argparse
import asyncio
import json
import random
import secrets
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_BOUNDARY = "d41b8a7e0c924f6e95b3c0a1f7e2d864"  # of the length that httpx and requests make


def new_id() -> str:
    """A study_id that nobody had."""
    return f"B-{secrets.token_hex(8)}"


@dataclass
class Request:
    """Bytes sent to one kind of target, as a function of the study_id and the image."""

    path: str
    kind: str
    image: bytes

    def parts(self, study_id: str) -> list[bytes]:
        """The request in pieces, none of them a copy of the image."""
        metadata = json.dumps(
            {"study_id": study_id, "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
        )
        headers = [f"POST {self.path} HTTP/1.1", "Host: localhost"]
        if self.kind == "multipart":
            head = (
                f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="metadata"\r\n'
                f"Content-Type: application/json\r\n\r\n{metadata}\r\n"
                f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; '
                f'filename="study.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
            ).encode()
            tail = f"\r\n--{_BOUNDARY}--\r\n".encode()
            headers.append(f"Content-Type: multipart/form-data; boundary={_BOUNDARY}")
        else:
            head = tail = b""
            headers += ["Content-Type: image/jpeg", f"RadStream-Metadata: {metadata}"]
        length = len(head) + len(self.image) + len(tail)
        headers.append(f"Content-Length: {length}\r\n\r\n")
        return ["\r\n".join(headers).encode() + head, self.image, tail]


@dataclass
class Log:
    """Durations and statuses of the requests."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def add(self, status: int, began: float) -> None:
        """One more answer."""
        self.statuses[status] += 1
        self.seconds.append(time.perf_counter() - began)


async def _answer(reader: asyncio.StreamReader) -> int:
    """The status of the next answer, which is read to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = int(head.split(" ", 2)[1])
    length = None
    chunked = False
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
        chunked = chunked or (name.lower() == "transfer-encoding" and "chunked" in value)
    if chunked:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    elif length is not None:
        await reader.readexactly(length)
    return status


class Connections:
    """Connections to one server, kept open between requests."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = str(address.hostname), int(address.port or 80)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def exchange(self, pieces: list[bytes]) -> int:
        """The status of the answer to a request, sent on a connection that is free or new."""
        while self._idle and self._idle[-1][0].at_eof():  # the server waited long enough
            self._idle.pop()
        if not self._idle:
            self._idle.append(await asyncio.open_connection(self._host, self._port))
        reader, writer = self._idle.pop()
        writer.writelines(pieces)
        await writer.drain()
        status = await _answer(reader)
        self._idle.append((reader, writer))
        return status


async def closed(
    connections: Connections, request: Request, log: Log, studies: int, concurrency: int
) -> None:
    """Send so many studies, so many at a time."""
    turns: list[None] = [None] * studies

    async def sender() -> None:
        while turns:
            turns.pop()
            began = time.perf_counter()
            log.add(await connections.exchange(request.parts(new_id())), began)

    await asyncio.gather(*(sender() for _ in range(concurrency)))


async def offered(
    connections: Connections, request: Request, log: Log, studies: int, rate: float
) -> None:
    """Send so many studies, so many a second; the gaps are drawn with one seed, always the same."""
    gaps = random.Random(1)  # noqa: S311 - no secret
    due = time.perf_counter()

    async def one(due: float) -> None:
        log.add(await connections.exchange(request.parts(new_id())), due)

    async with asyncio.TaskGroup() as group:
        for _ in range(studies):
            due += gaps.expovariate(rate)
            await asyncio.sleep(due - time.perf_counter())
            group.create_task(one(due))


async def run(work: Coroutine[object, object, None], log: Log) -> dict[str, object]:
    """Await the work and return its measurements, for printing."""
    began, before = time.perf_counter(), time.process_time()
    await work
    return {
        "wall_s": time.perf_counter() - began,
        "seconds": log.seconds,
        "statuses": log.statuses,
        "own_cpu_s": time.process_time() - before,
    }


def main() -> None:
    """Read the arguments, send, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("path")
    parser.add_argument("kind", choices=["multipart", "raw"])
    parser.add_argument("image", type=Path)
    parser.add_argument("--studies", type=int, required=True)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--concurrency", type=int)
    model.add_argument("--rate", type=float, help="a second")
    arguments = parser.parse_args()
    request = Request(arguments.path, arguments.kind, arguments.image.read_bytes())
    connections, log = Connections(arguments.url), Log()
    if arguments.rate:
        work = offered(connections, request, log, arguments.studies, arguments.rate)
    else:
        work = closed(connections, request, log, arguments.studies, arguments.concurrency)
    print(json.dumps(asyncio.run(run(work, log))))


if __name__ == "__main__":
    main()
