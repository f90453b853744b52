"""A rolling update without a cluster: two gateways behind a load balancer, under steady load.

Each gateway is replaced as a pod is: SIGTERM turns its readiness off, the load balancer's health
check takes it out, the listener closes, work in flight ends; a new process takes its place, is
ready, and is taken in again. HAProxy stands for the load balancer, with active health checks, with
connections that are kept and reused, and without retries: what a gateway loses, the sender sees.
"""

import asyncio
import contextlib
import secrets
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.gateway import Command, client_of, metadata, multipart, running_command, until
from tests.support.tools import tool

# Many health checks, as a busy machine answers them late: by then no new request comes.
DRAIN_DELAY_S = 3.0

_HAPROXY = """\
global
  stats socket ipv4@127.0.0.1:{admin}
defaults
  mode http
  retries 0
  timeout connect 2s
  timeout client 70s
  timeout server 60s
  timeout check 5s
frontend studies
  bind 127.0.0.1:{port}
  default_backend gateways
backend gateways
  balance roundrobin
  # Connections are kept and serve any sender, as an ALB's do.
  http-reuse always
  option httpchk GET /readyz
  http-check expect status 200
  # A check has as long as the one in a pod has, so that a busy machine counts as no lost gateway.
  default-server check inter 200ms fastinter 200ms fall 2 rise 1
{servers}
"""


@dataclass
class Tally:
    """Outcomes that the senders saw.

    Attributes
    ----------
    outcomes : Counter
        Number of each outcome: a status, or an error's name.
    seconds : list of float
        Seconds that each answered study took.
    accepted : list of str
        The study_id of each that was answered with 200.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Balancer:
    """HAProxy before the gateways.

    Attributes
    ----------
    url : str
        The address for senders.
    ports : tuple of int
        The gateways' ports, by their place.
    admin_port : int
        Port of HAProxy's state: no socket in a folder, whose path may be too long for one.
    """

    url: str
    ports: tuple[int, ...]
    admin_port: int

    async def up(self, place: int) -> bool:
        """Return whether it sends requests to the gateway of this place."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.admin_port)
        writer.write(b"show stat\n")
        lines = (await reader.read()).decode().splitlines()
        writer.close()
        [fields] = [line.split(",") for line in lines if line.startswith(f"gateways,g{place},")]
        return fields[17].startswith("UP")


@asynccontextmanager
async def balancing(folder: Path, gateways: int = 2) -> AsyncIterator[Balancer]:
    """A load balancer for gateways that are to listen on its ports."""
    port, admin_port, *ports = free_ports(gateways + 2)
    servers = "\n".join(f"  server g{n} 127.0.0.1:{each}" for n, each in enumerate(ports))
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(admin=admin_port, port=port, servers=servers))
    process = await asyncio.create_subprocess_exec(
        *(tool("haproxy"), "-q", "-db", "-f", str(config)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    balancer = Balancer(f"http://127.0.0.1:{port}", tuple(ports), admin_port)

    async def has_looked() -> bool:
        """Return whether HAProxy has found no gateway yet; until then it takes each for up."""
        assert process.returncode is None, "haproxy did not come up"
        try:
            return not any([await balancer.up(place) for place in range(gateways)])
        except ConnectionRefusedError:
            return False

    try:
        await until(has_looked)
        yield balancer
    finally:
        with contextlib.suppress(ProcessLookupError):  # it did not come up
            process.terminate()
        await process.wait()


class Gateways:
    """The processes behind the load balancer, each in its place.

    Parameters
    ----------
    balancer
        Before them.
    environment
        RADSTREAM_… variables that all have in common.
    drain_delay_s
        Seconds that each stays open after it has said that it is leaving.
    """

    def __init__(
        self,
        balancer: Balancer,
        environment: dict[str, str],
        *,
        drain_delay_s: float = DRAIN_DELAY_S,
    ) -> None:
        self._balancer = balancer
        self._environment = environment | {"RADSTREAM_HTTP__DRAIN_DELAY_S": str(drain_delay_s)}
        self._stacks = [contextlib.AsyncExitStack() for _ in balancer.ports]
        self._commands: dict[int, Command] = {}

    async def start(self, place: int) -> None:
        """Start a gateway there, and wait until it gets requests."""
        port = self._balancer.ports[place]
        self._commands[place] = await self._stacks[place].enter_async_context(
            running_command("serve", **self._environment, RADSTREAM_HTTP__PORT=str(port))
        )
        await until(lambda: self._balancer.up(place), timeout_s=60)

    async def replace(self, place: int) -> None:
        """Do what a roll-out does to one pod."""
        command = self._commands.pop(place)
        assert await command.stop() == 0, "\n".join(command.err)
        await until(lambda: self._is_out(place))
        await self._stacks[place].aclose()
        await self.start(place)

    async def _is_out(self, place: int) -> bool:
        return not await self._balancer.up(place)

    async def stop(self) -> None:
        """End them all."""
        for stack in self._stacks:
            await stack.aclose()


@asynccontextmanager
async def load(url: str, pictures: Sequence[bytes], *, per_second: float) -> AsyncIterator[Tally]:
    """Studies sent at a steady rate, each when its time has come, whatever became of the others."""
    tally = Tally()
    ending = asyncio.Event()

    async def send_steadily(client: httpx.AsyncClient) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as sending:
            number = 0
            while not ending.is_set():
                picture = pictures[number % len(pictures)]
                sending.create_task(_send(client, picture, tally))
                number += 1
                with contextlib.suppress(TimeoutError):
                    wait_s = began + number / per_second - time.monotonic()
                    await asyncio.wait_for(ending.wait(), max(wait_s, 0))

    async with client_of(url) as client:
        sender = asyncio.create_task(send_steadily(client))
        try:
            yield tally
        finally:
            ending.set()
            await sender


async def _send(client: httpx.AsyncClient, picture: bytes, tally: Tally) -> None:
    document = metadata(study_id=f"R-{secrets.token_hex(8)}")
    began = time.monotonic()
    try:
        response = await client.post("/v1/studies", **multipart(document, picture))
    except httpx.TransportError as error:
        tally.outcomes[type(error).__name__] += 1
        return
    tally.outcomes[str(response.status_code)] += 1
    if response.is_success:
        tally.seconds.append(time.monotonic() - began)
        tally.accepted.append(document["study_id"])


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]
