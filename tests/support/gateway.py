"""A live gateway for the tests: uvicorn on a free port in this event loop, or a whole process."""

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from gateway.app.server import GatewayServer
from gateway.settings import (
    AdmissionSettings,
    AuditSettings,
    HttpSettings,
    LimitSettings,
    PendingSettings,
    Settings,
    StoreSettings,
    TelemetrySettings,
    TritonSettings,
)
from gateway.triton.embedded import EmbeddedTriton
from tests.support.processes import triton_process

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class LiveGateway:
    """A gateway that listens, with a client of its own."""

    url: str
    settings: Settings
    server: GatewayServer
    client: httpx.AsyncClient

    def stored(self) -> list[str]:
        """Every file in the store that a request leaves; see `stored_in`."""
        return stored_in(self.settings.store.folder)

    async def at_rest(self) -> list[str]:
        """Every file in the store once it stays as it is; see `at_rest`."""
        return await at_rest(self.settings.store.folder)

    async def is_ready(self) -> bool:
        """Return whether the gateway reports that it is ready for studies."""
        return (await self.client.get("/readyz")).is_success

    async def metric(self, name: str, **labels: str) -> float:
        """A sample's value now; 0 where there is none yet."""
        return metric((await self.client.get("/metrics")).text, name, **labels)

    async def comes_to(self, value: float, name: str, **labels: str) -> None:
        """Wait until a sample has the value: work is counted after its outcome is stored."""

        async def is_reached() -> bool:
            return await self.metric(name, **labels) == value

        await until(is_reached)


class _Server(GatewayServer):
    """Leaves signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def audit_trail(settings: Settings) -> list[dict[str, Any]]:
    """Every record of the audit trail, in the order they were written."""
    files = sorted(settings.audit.folder.glob("audit-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def settings_for(triton_url: str, folder: Path, **limits: int) -> Settings:
    """Settings of a gateway on a free port that keeps its studies in the folder.

    Its telemetry goes to the folder of the same name and ``-telemetry``. It takes a hundred studies
    at once of one caller, whatever the machine.
    """
    return Settings(
        http=HttpSettings(port=0),
        limits=LimitSettings(**limits),
        admission=AdmissionSettings(studies=200, bytes=2**30),
        triton=TritonSettings(url=triton_url),
        store=StoreSettings(folder=folder),
        audit=AuditSettings(folder=folder.with_name(f"{folder.name}-audit")),
        telemetry=TelemetrySettings(
            folder=folder.with_name(f"{folder.name}-telemetry"),
            spool_folder=folder.with_name(f"{folder.name}-spool"),
            linger_ms=20,
        ),
    )


def brisk(settings: Settings, **groups: BaseModel) -> Settings:
    """The settings, with sweeps that follow one another at once and these groups."""
    pending = PendingSettings(sweep_s=0.2)
    return settings.model_copy(update={"pending": pending, **groups})


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[LiveGateway]:
    """A gateway that listens; drained and closed at the end."""
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = _Server(settings, listening.set_result)
    task = asyncio.create_task(server.serve())
    await asyncio.wait({listening, task}, return_when=asyncio.FIRST_COMPLETED)
    assert listening.done(), "the gateway did not come up"
    try:
        async with client_of(listening.result()) as client:
            yield LiveGateway(listening.result(), settings, server, client)
    finally:
        server.should_exit = True
        await task


def client_of(url: str) -> httpx.AsyncClient:
    """A client that no proxy of the environment gets in the way of."""
    return httpx.AsyncClient(base_url=url, timeout=30, trust_env=False)


# --- what is sent ---------------------------------------------------------------------------------


def metadata(**changes: Any) -> dict[str, Any]:
    """A valid document under a new study_id; a change to None leaves the field out."""
    document = {
        "study_id": f"S-{secrets.token_hex(8)}",
        "view": "AP",
        "timestamp": "2026-01-31T08:15:00Z",
    } | changes
    return {name: value for name, value in document.items() if value is not None}


def multipart(document: Mapping[str, Any] | bytes | None, *images: bytes) -> dict[str, Any]:
    """Arguments of httpx for a POST of the document, as JSON or as these bytes, and the images."""
    files: list[tuple[str, tuple[str | None, bytes, str]]] = []
    if isinstance(document, bytes):
        files.append(("metadata", (None, document, "application/json")))
    elif document is not None:
        files.append(("metadata", (None, _json(document), "application/json")))
    files += [("image", ("picture", image, "application/octet-stream")) for image in images]
    return {"files": files}


def _json(document: Mapping[str, Any]) -> bytes:
    return httpx.Request("POST", "http://_", json=document).read()


# --- a whole process ------------------------------------------------------------------------------


@dataclass
class Command:
    """A `radstream` process and what it has printed so far."""

    process: asyncio.subprocess.Process
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    async def url(self) -> str:
        """The gateway's address, once it has said it."""
        await until(lambda: any("http://" in line for line in self.out) or self._ended(), 120)
        line = next(line for line in self.out if "http://" in line)
        url = line[line.index("http://") :].split()[0]
        return url.removesuffix("/console").removesuffix("/v1/studies")

    async def stop(self) -> int:
        """The exit code after SIGTERM, or of the end it has come to by itself."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        return await self.process.wait()

    def _ended(self) -> bool:
        assert self.process.returncode is None, "\n".join(self.err)
        return False


@asynccontextmanager
async def running_command(
    *arguments: str, within: Sequence[str] = (), **environment: str
) -> AsyncIterator[Command]:
    """`radstream` with these arguments and RADSTREAM_… variables; killed if it still runs.

    It may run `within` another command, which ends in it.
    """
    audit = tempfile.TemporaryDirectory()
    process = await asyncio.create_subprocess_exec(
        *(*within, sys.executable, "-m", "gateway", *arguments),
        cwd=ROOT,
        env=_environment({"RADSTREAM_AUDIT__FOLDER": audit.name} | environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    command = Command(process)
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [
        asyncio.create_task(_collect(process.stdout, command.out)),
        asyncio.create_task(_collect(process.stderr, command.err)),
    ]
    try:
        yield command
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await asyncio.gather(*readers)
        audit.cleanup()


async def run_command(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `radstream` with these arguments."""
    async with running_command(*arguments, **environment) as command:
        code = await command.process.wait()
    return code, "\n".join(command.out), "\n".join(command.err)


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RADSTREAM_") and not name.lower().endswith("_proxy")
    }
    defaults = {
        "RADSTREAM_TELEMETRY__KIND": "none",
        "RADSTREAM_DIMSE__LISTEN": "false",  # its port is one for all of `up`
        "RADSTREAM_ADMISSION__STUDIES": "200",  # whatever the machine
    }
    return inherited | defaults | variables


async def _collect(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode().rstrip("\n"))


# --- watching -------------------------------------------------------------------------------------


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 120) -> None:
    """Return when the condition holds, which is looked at again and again."""
    async with asyncio.timeout(timeout_s):
        while True:
            holds = condition()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(0.01)


def metric(text: str, name: str, **labels: str) -> float:
    """A sample's value in Prometheus' text format; 0 where there is none."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return 0.0


def files_in(folder: Path) -> list[str]:
    """Every file under the folder, which may change meanwhile.

    But for those by which the gateways that run on it are known.
    """
    found = (Path(top, name) for top, _, names in os.walk(folder) for name in names)
    paths = (str(path.relative_to(folder)) for path in found if path.is_file())
    return sorted(path for path in paths if not path.startswith(".gateways/"))


def stored_in(folder: Path) -> list[str]:
    """Every file of a store that a request leaves, unfinished ones included.

    The search index follows within seconds, the minutes of monitoring within one.
    """
    return [path for path in files_in(folder) if not path.startswith(("index/", "monitoring/"))]


async def at_rest(folder: Path) -> list[str]:
    """`stored_in` once the work that others left comes to an end: three looks agree."""
    looks: list[list[str]] = []

    def agree() -> bool:
        looks.append(stored_in(folder))
        return len(looks) > 2 and looks[-1] == looks[-2] == looks[-3]

    await until(agree)
    return looks[-1]


@contextmanager
def suspended(triton: EmbeddedTriton) -> Iterator[psutil.Process]:
    """Triton takes connections and requests, and answers none of them before the block's end."""
    process = triton_process(triton.grpc_url)
    process.suspend()
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):  # killed by the test
            process.resume()
