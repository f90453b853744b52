"""Buckets in the emulator, clients of it, and faults in front of it."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.settings import StoreSettings
from gateway.storage.s3 import S3Store, s3_client
from gateway.triton.embedded.ports import choose_ports
from tests.support.aws import CREDENTIALS
from tests.support.gateway import until


@contextmanager
def aws_environment() -> Iterator[None]:
    """The credentials in this process's environment, and nothing else of AWS."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_") or name.lower().endswith("_proxy"):
                patch.delenv(name)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@asynccontextmanager
async def faults(upstream: str, folder: Path) -> AsyncIterator["Faults"]:
    """A proxy in front of the emulator that lets everything pass until told otherwise."""
    port = choose_ports().http
    url = f"http://127.0.0.1:{port}"
    log = folder / "microburst.log"
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "microburst", "--upstream", upstream, "--port", str(port)),
            stdout=file,
            stderr=file,
        )
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:

            async def is_up() -> bool:
                assert process.returncode is None, log.read_text()
                try:
                    return (await client.get("/_microburst/health")).is_success
                except httpx.TransportError:
                    return False

            await until(is_up)
            async with s3(url) as first:
                await first.list_buckets()  # the proxy reads AWS's models now, for seconds
            yield Faults(url, client)
    finally:
        with suppress(ProcessLookupError):
            process.kill()  # a fault may still hold a connection
        await process.wait()


@dataclass(frozen=True)
class Faults:
    """Faults that the proxy puts into the calls that go through it."""

    url: str
    client: httpx.AsyncClient

    async def set(self, *rules: Mapping[str, Any]) -> None:
        """These faults from now on, and no others."""
        response = await self.client.post("/_microburst/rules", json=list(rules))
        response.raise_for_status()

    async def fired(self) -> Sequence[Mapping[str, Any]]:
        """Every fault that was done to a call."""
        fired: Sequence[Mapping[str, Any]] = (await self.client.get("/_microburst/fired")).json()
        return fired


class LostAnswers:
    """A relay in front of the emulator that lets requests through and loses the next answers.

    Attributes
    ----------
    url : str
        Of the relay.
    to_lose : int
        So many answers are not given: the connection is reset instead.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = httpx.URL(upstream)
        self.url = ""
        self.to_lose = 0

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        upstream = await asyncio.open_connection(self._upstream.host, self._upstream.port)

        async def forward() -> None:
            while data := await reader.read(2**16):
                upstream[1].write(data)
            upstream[1].close()

        forwarding = asyncio.create_task(forward())
        with suppress(ConnectionError):
            while data := await upstream[0].read(2**16):
                # Leave to send a body is no answer yet.
                if self.to_lose and not data.startswith(b"HTTP/1.1 100"):
                    self.to_lose -= 1
                    break
                writer.write(data)
        writer.transport.abort()
        upstream[1].close()
        with suppress(ConnectionError):
            await forwarding


@asynccontextmanager
async def lost_answers(upstream: str) -> AsyncIterator[LostAnswers]:
    """A relay that loses no answer until it is told to."""
    relay = LostAnswers(upstream)
    async with await asyncio.start_server(relay.relay, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        relay.url = f"http://127.0.0.1:{port}"
        yield relay


def store_settings(endpoint: str, **changes: Any) -> StoreSettings:
    """Settings for two buckets of new names; see `make_buckets`."""
    name = secrets.token_hex(6)
    values: dict[str, Any] = {
        "kind": "s3",
        "endpoint": endpoint,
        "images_bucket": f"images-{name}",
        "results_bucket": f"results-{name}",
    }
    return StoreSettings(**values | changes)


@asynccontextmanager
async def s3(endpoint: str) -> AsyncIterator[Any]:
    """A client of the emulator."""
    async with s3_client(region=None, endpoint=endpoint, connections=16, timeout_s=20) as client:
        yield client


async def make_buckets(client: Any, settings: StoreSettings) -> None:
    """The settings' buckets, versioned, as serverless.yml has them."""
    for bucket in (settings.images_bucket, settings.results_bucket):
        await client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        await client.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )


@asynccontextmanager
async def new_store(endpoint: str, **options: Any) -> AsyncIterator[S3Store]:
    """A store in a new bucket."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(s3(endpoint))
        bucket = f"store-{secrets.token_hex(6)}"
        await client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        yield S3Store(client, bucket, **{"timeout_s": 20.0, "encryption": {}} | options)
