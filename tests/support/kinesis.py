"""Streams of a real Kinesis API, and a front before it for the faults it does not have."""

import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, web

from gateway.telemetry.kinesis_sink import KinesisSink, kinesis_client
from gateway.telemetry.records import TelemetryRecord
from gateway.triton.embedded.ports import choose_ports
from tests.support.gateway import until


@asynccontextmanager
async def kinesis(endpoint: str) -> AsyncIterator[Any]:
    """A client of Kinesis."""
    async with kinesis_client(region=None, endpoint=endpoint) as client:
        yield client


async def make_stream(client: Any, shards: int = 2) -> str:
    """The name of a new stream that takes records."""
    name = f"telemetry-{secrets.token_hex(6)}"
    await client.create_stream(StreamName=name, ShardCount=shards)

    async def is_active() -> bool:
        described = await client.describe_stream(StreamName=name)
        return bool(described["StreamDescription"]["StreamStatus"] == "ACTIVE")

    await until(is_active)
    return name


async def records_in(client: Any, stream_name: str) -> list[TelemetryRecord]:
    """All records of a stream, shard by shard."""
    found: list[TelemetryRecord] = []
    for shard in (await client.list_shards(StreamName=stream_name))["Shards"]:
        response = await client.get_shard_iterator(
            StreamName=stream_name,
            ShardId=shard["ShardId"],
            ShardIteratorType="TRIM_HORIZON",
        )
        iterator = response["ShardIterator"]
        while True:
            page = await client.get_records(ShardIterator=iterator, Limit=10_000)
            found += [
                TelemetryRecord(item["PartitionKey"], item["Data"]) for item in page["Records"]
            ]
            if not page["Records"]:
                break
            iterator = page["NextShardIterator"]
    return found


@asynccontextmanager
async def new_sink(
    endpoint: str, stream_name: str, timeout_s: float = 10
) -> AsyncIterator[KinesisSink]:
    """A sink to a stream."""
    async with kinesis_client(region=None, endpoint=endpoint) as client:
        yield KinesisSink(client, stream_name, timeout_s=timeout_s)


class Front:
    """Passes calls on to the real API, less what it refuses of them.

    The emulators know no shard's throughput and fail whole calls only. This takes records out of a
    PutRecords call before it goes on and reports them as Kinesis does, so that what the test finds
    in the stream is what the API kept.

    Attributes
    ----------
    refuses
        True for the number of a record to refuse, counted over all calls from 0.
    """

    def __init__(self, upstream: str) -> None:
        self.refuses: Callable[[int], bool] = lambda _number: False
        self.refused = 0
        self._seen = 0
        self._upstream = upstream
        self._port = choose_ports().http
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Return the address of the emulator, the same after an outage."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Take connections."""
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        """Close all connections and refuse new ones."""
        assert self._runner is not None
        await self._runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        results: list[dict[str, Any] | None] = []
        if request.headers["x-amz-target"].endswith(".PutRecords"):
            results = [self._verdict() for _ in body["Records"]]
            body["Records"] = [
                record
                for record, refused in zip(body["Records"], results, strict=True)
                if refused is None
            ]
        async with ClientSession() as session:
            headers = {name: request.headers[name] for name in ("x-amz-target", "content-type")}
            headers["authorization"] = request.headers["authorization"]
            async with session.post(self._upstream, json=body, headers=headers) as response:
                answer = json.loads(await response.read())
        if results and response.status == 200:
            taken = iter(answer["Records"])
            answer["Records"] = [refused or next(taken) for refused in results]
            answer["FailedRecordCount"] = sum(refused is not None for refused in results)
        return web.json_response(answer, status=response.status)

    def _verdict(self) -> dict[str, Any] | None:
        refused = self.refuses(self._seen)
        self._seen += 1
        self.refused += refused
        code = "ProvisionedThroughputExceededException"
        return {"ErrorCode": code, "ErrorMessage": "Rate exceeded for shard"} if refused else None


@asynccontextmanager
async def front(upstream: str) -> AsyncIterator[Front]:
    """A front that listens."""
    made = Front(upstream)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
