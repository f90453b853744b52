"""A load generator: keeps N requests under way on N connections, and says how they fared.

    python -m bench.serving.load URL PATH KIND IMAGE --studies 200 --concurrency 16

Sends the bytes as they lie in memory, head, image and tail by one `sendmsg`, and looks at nothing
of the answer but its status and length, so that it costs about half a millisecond a study. Prints
one JSON document: seconds of each request, their statuses, and its own CPU time.
"""

import argparse
import asyncio
import json
import resource
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_BOUNDARY = "bench0f3c61"


@dataclass
class Request:
    """What one kind of target is sent: a function of a fresh study_id and the image."""

    path: str
    kind: str
    image: bytes

    def parts(self, host: str) -> list[bytes]:
        """The request in pieces, none of them a copy of the image."""
        study_id = f"B-{secrets.token_hex(8)}"
        metadata = json.dumps(
            {"study_id": study_id, "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
        )
        headers = [f"POST {self.path} HTTP/1.1", f"Host: {host}"]
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
    """What came of the requests."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


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


async def client(host: str, port: int, request: Request, turns: list[None], log: Log) -> None:
    """One connection, one request after another, until no turn is left."""
    reader, writer = await asyncio.open_connection(host, port)
    while turns:
        turns.pop()
        began = time.perf_counter()
        writer.writelines(request.parts(f"{host}:{port}"))
        await writer.drain()
        log.statuses[await _answer(reader)] += 1
        log.seconds.append(time.perf_counter() - began)
    writer.close()


async def run(url: str, request: Request, studies: int, concurrency: int) -> dict[str, object]:
    """Send so many studies, so many at a time."""
    address = urlsplit(url)
    host, port = str(address.hostname), int(address.port or 80)
    turns: list[None] = [None] * studies
    log = Log()
    began = time.perf_counter()
    await asyncio.gather(*(client(host, port, request, turns, log) for _ in range(concurrency)))
    wall = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall_s": wall,
        "seconds": log.seconds,
        "statuses": log.statuses,
        "own_cpu_s": usage.ru_utime + usage.ru_stime,
    }


def main() -> None:
    """Read the arguments, send, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("path")
    parser.add_argument("kind", choices=["multipart", "raw"])
    parser.add_argument("image", type=Path)
    parser.add_argument("--studies", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    arguments = parser.parse_args()
    request = Request(arguments.path, arguments.kind, arguments.image.read_bytes())
    told = asyncio.run(run(arguments.url, request, arguments.studies, arguments.concurrency))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
