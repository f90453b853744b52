"""CPU time of the event loop for a request with a body of 1.4 MB, HTTP alone.

    python -m bench.request_bodies [--requests 400] [--turns 5]

By turns the body comes by way of the parser, in pieces, and from the socket straight into the
request's buffer. Prints the medians over the turns, each with the least and the greatest.
"""

import argparse
import asyncio
import statistics
import sys
import time
from typing import Any

import uvicorn
import uvloop
from fastapi import Request
from prometheus_client import CollectorRegistry

from bench.results import ROOT
from bench.serving.work import large_file
from gateway.admission.admission import Admission
from gateway.http.protocol.pipelining import serving
from gateway.http.requests.body import read_body
from gateway.observability.metrics import Metrics
from gateway.runtime.deadline import Deadline
from gateway.settings import HttpSettings

_AT_ONCE = 16
_WAYS = ("in pieces", "direct")


class Reader:
    """An application that reads bodies and forgets them."""

    def __init__(self) -> None:
        self.way = _WAYS[0]
        self._settings = HttpSettings()
        self._admission = Admission(
            bytes_limit=2**30,
            studies_limit=_AT_ONCE,
            pictures_limit=1,
            metrics=Metrics(CollectorRegistry()),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read the body in the way that is measured now."""
        if self.way == "in pieces":
            scope.pop("extensions", None)
        with self._admission.slot("bench") as slot:
            await read_body(
                Request(scope, receive),
                2**30,
                slot=slot,
                deadline=Deadline.after(60),
                pace=self._settings,
            )
        fields = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"ok"})


async def measured(requests: int, turns: int) -> dict[str, list[float]]:
    """Milliseconds of this thread's CPU time a request, for each way and turn."""
    app = Reader()
    protocol = serving(HttpSettings(), on_refused=lambda: None, on_unread=lambda: None)
    config = uvicorn.Config(app, http=protocol, ws="none", lifespan="off", log_config=None)
    config.load()
    state = uvicorn.Server(config).server_state
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    command = ["-m", "bench.serving.load", url, "/", "multipart", str(large_file())]
    command += ["--studies", str(requests), "--concurrency", str(_AT_ONCE)]
    taken: dict[str, list[float]] = {way: [] for way in _WAYS}
    for _ in range(turns):
        for app.way in _WAYS:
            sender = await asyncio.create_subprocess_exec(
                sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
            )
            before = time.thread_time()
            await sender.communicate()
            taken[app.way].append((time.thread_time() - before) / requests * 1000)
    server.close()
    return taken


def main() -> None:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken = runner.run(measured(given.requests, given.turns))
    for way, times in taken.items():
        print(f"{way:9} {statistics.median(times):.2f} ms ({min(times):.2f} to {max(times):.2f})")


if __name__ == "__main__":
    main()
