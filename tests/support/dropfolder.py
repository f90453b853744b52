"""A drop folder in a bucket, its sender, and gateways on it that are processes of their own."""

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway.settings import StoreSettings
from tests.support.aws import CREDENTIALS
from tests.support.gateway import Command, client_of, metric, running_command, until

ENVELOPE = json.loads((Path(__file__).parents[1] / "data/events/image.json").read_text())


@dataclass(frozen=True)
class Replica:
    """A gateway's process, and a client of it."""

    command: Command
    client: httpx.AsyncClient

    async def metric(self, name: str, **labels: str) -> float:
        """A sample's value now; 0 where there is none yet."""
        return metric((await self.client.get("/metrics")).text, name, **labels)


@asynccontextmanager
async def replicas(
    count: int, triton_url: str, store: StoreSettings, **environment: str
) -> AsyncIterator[Sequence[Replica]]:
    """Gateways that are ready, on the same buckets and the same Triton."""
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__URL": triton_url,
        "RADSTREAM_TRITON__REFRESH_S": "300",  # no golden image is read while inferences count
        "RADSTREAM_TELEMETRY__KIND": "none",
        "RADSTREAM_STORE__KIND": "s3",
        "RADSTREAM_STORE__ENDPOINT": str(store.endpoint),
        "RADSTREAM_STORE__IMAGES_BUCKET": str(store.images_bucket),
        "RADSTREAM_STORE__RESULTS_BUCKET": str(store.results_bucket),
    }
    async with AsyncExitStack() as stack:
        started = []
        for _ in range(count):
            command = await stack.enter_async_context(
                running_command("serve", **CREDENTIALS | variables | environment)
            )
            client = await stack.enter_async_context(client_of(await command.url()))
            started.append(Replica(command, client))
        for replica in started:
            await until(lambda client=replica.client: _is_ready(client))
        yield started


async def _is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).is_success


@dataclass(frozen=True)
class Bucket:
    """The images bucket, as a hospital and AWS use it, and the results bucket to look into."""

    s3: Any
    store: StoreSettings

    async def put(self, key: str, data: bytes) -> dict[str, Any]:
        """The event of an object that was put."""
        answer = await self.s3.put_object(Bucket=self.store.images_bucket, Key=key, Body=data)
        return self.event(key, answer["VersionId"])

    def event(self, key: str, version_id: str) -> dict[str, Any]:
        """The envelope that AWS sends, of this object."""
        event: dict[str, Any] = json.loads(json.dumps(ENVELOPE))
        event["id"] = secrets.token_hex(16)
        event["detail"]["bucket"]["name"] = self.store.images_bucket
        event["detail"]["object"] |= {"key": key, "version-id": version_id}
        return event

    async def kept(self, prefix: str = "") -> list[str]:
        """Keys in the results bucket."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.store.results_bucket, Prefix=prefix
        )
        return [item["Key"] async for page in pages for item in page.get("Contents", ())]

    async def document(self, key: str) -> Any:
        """A JSON document in the results bucket."""
        answer = await self.s3.get_object(Bucket=self.store.results_bucket, Key=key)
        return json.loads(await answer["Body"].read())


async def deliver(
    event: dict[str, Any], *gateways: Replica, failures: list[str] | None = None
) -> dict[str, Any]:
    """The answer to an event, which is sent again after 5xx as the queue does, to any gateway.

    The reasons why it was sent again are added to `failures`.
    """
    while True:
        client = random.choice(gateways).client  # noqa: S311 - any will do
        try:
            response = await client.post("/v1/events/s3", json=event)
        except httpx.TransportError as error:
            if failures is not None:
                failures.append(type(error).__name__)
            continue
        if response.status_code < 500:
            answer: dict[str, Any] = response.json()
            assert response.status_code == 200, answer
            return answer
        assert response.status_code == 503, response.text
        if failures is not None:
            failures.append(response.json()["detail"])
        await asyncio.sleep(0.05)
