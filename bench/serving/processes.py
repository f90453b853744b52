"""A server under test: started, watched by /proc over its whole process tree, stopped."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.results import ROOT
from gateway.triton.embedded import EmbeddedTriton

_START_S = 120


@dataclass(frozen=True)
class Server:
    """A process tree that answers at `url`."""

    process: psutil.Process
    url: str
    start_s: float

    def cpu_s(self) -> float:
        """CPU seconds of the tree, children that have ended included."""
        total = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def own_cpu_s(self) -> tuple[float, float]:
        """CPU seconds of first threads, those of event loops, and of all threads.

        They are the first process's and its workers', not those of processes below them.
        """
        loops = total = 0.0
        for process in (self.process, *self.process.children()):
            if process is self.process or "gateway.app.workers.worker" in process.cmdline():
                [first] = [each for each in process.threads() if each.id == process.pid]
                loops += first.user_time + first.system_time
                own = process.cpu_times()
                total += own.user + own.system
        return loops, total

    def peak_mib(self) -> float:
        """Peak resident MiB of the tree: each process at its own worst (VmHWM)."""
        return sum(_peak_kib(process.pid) for process in self._tree()) / 1024

    def own_peak_mib(self) -> float:
        """Peak resident MiB of the first process alone."""
        return _peak_kib(self.process.pid) / 1024

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


def _peak_kib(pid: int) -> int:
    with contextlib.suppress(FileNotFoundError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def generated(module: str, *arguments: str) -> dict[str, Any]:
    """Run a load generator in a process of its own and return what it has printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, *, ready: str, cwd: Path, env: Mapping[str, str], log: Path
) -> Iterator[Server]:
    """The server, once GET `ready` gives anything but a 5xx; killed with all its children.

    SIGTERM ends this process in order from then on, so that no server is left behind.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    environment = {
        name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")
    }
    began = time.perf_counter()
    with log.open("ab") as sink:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment | {"ORT_DISABLE_TELEMETRY": "1"} | env,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, url + ready)
        yield Server(psutil.Process(process.pid), url, time.perf_counter() - began)
    finally:
        _end(process)


@contextlib.contextmanager
def running_triton(repository: Path) -> Iterator[Server]:
    """A Triton that serves the repository; its `url` is that of gRPC."""
    with asyncio.Runner() as runner:
        triton = EmbeddedTriton(repository, on_log=lambda _: None)
        began = time.perf_counter()
        runner.run(triton.start())
        try:
            port = triton.grpc_url.rpartition(":")[2]
            [server] = [
                process
                for process in psutil.Process().children(recursive=True)
                if process.name() == "tritonserver" and f"--grpc-port={port}" in process.cmdline()
            ]
            yield Server(server, triton.grpc_url, time.perf_counter() - began)
        finally:
            runner.run(triton.stop())


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    stop = time.monotonic() + _START_S
    while time.monotonic() < stop:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}: see its log")
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, trust_env=False, timeout=5).status_code < 500:
                return
        time.sleep(0.02)
    raise RuntimeError("the server did not come up: see its log")


def _end(process: subprocess.Popen[bytes]) -> None:
    children = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
