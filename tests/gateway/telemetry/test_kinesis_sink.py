"""What a stream has and files have not: records refused one by one, faults on the wire."""

from collections.abc import AsyncIterator

import pytest

from gateway.telemetry.records import SinkUnavailableError, TelemetryRecord
from tests.support.kinesis import front, kinesis, make_stream, new_sink, records_in
from tests.support.s3 import Faults, faults

RECORDS = [TelemetryRecord(f"{n:032x}", b'{"n":%d}\n' % n) for n in range(20)]


@pytest.fixture
async def stream_name(s3_url: str) -> str:
    async with kinesis(s3_url) as client:
        return await make_stream(client)


@pytest.fixture(scope="module")
async def proxy(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Faults]:
    async with faults(s3_url, tmp_path_factory.mktemp("faults")) as proxy:
        yield proxy


async def test_a_record_is_kept_under_its_key(s3_url: str, stream_name: str):
    async with kinesis(s3_url) as client, new_sink(s3_url, stream_name) as sink:
        assert list(await sink.put(RECORDS)) == []
        found = await records_in(client, stream_name)
    assert sorted(found, key=lambda record: record.key) == RECORDS


async def test_the_refused_records_are_told_and_the_others_kept(s3_url: str, stream_name: str):
    async with (
        kinesis(s3_url) as client,
        front(s3_url) as before,
        new_sink(before.url, stream_name) as sink,
    ):
        before.refuses = lambda number: number % 7 == 3
        assert list(await sink.put(RECORDS)) == [3, 10, 17]
        found = await records_in(client, stream_name)
    assert {record.key for record in found} == {
        record.key for n, record in enumerate(RECORDS) if n not in {3, 10, 17}
    }


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"error": {"code": "ProvisionedThroughputExceededException"}}, "ProvisionedThroughput"),
        ({"error": {"code": "InternalFailure", "status": 500}}, "InternalFailure"),
        ({"error": {"code": "AccessDeniedException", "status": 400}}, "AccessDenied"),
        ({"reset": True}, "Error"),
        ({"latency": 60_000}, "no answer within 3 s"),
    ],
    ids=["throttled", "broken", "forbidden", "reset", "silent"],
)
async def test_a_call_that_fails_says_why_and_is_not_repeated(
    proxy: Faults, stream_name: str, fault: dict[str, object], reason: str
):
    await proxy.set({"service": "kinesis", "operation": "PutRecords"} | fault)
    before = len(await proxy.fired())
    timeout_s = 3 if "latency" in fault else 30
    async with new_sink(proxy.url, stream_name, timeout_s=timeout_s) as sink:
        with pytest.raises(SinkUnavailableError, match=reason) as caught:
            await sink.put(RECORDS)
        assert not any(record.key in caught.value.reason for record in RECORDS)
        assert len(await proxy.fired()) == before + 1
        await proxy.set()
        assert list(await sink.put(RECORDS)) == []


async def test_a_stream_that_is_not_there_is_told(s3_url: str):
    async with new_sink(s3_url, "no-such-stream") as sink:
        with pytest.raises(SinkUnavailableError, match="ResourceNotFoundException"):
            await sink.put(RECORDS)


async def test_a_server_that_is_not_there_is_told(s3_url: str, stream_name: str):
    async with front(s3_url) as before, new_sink(before.url, stream_name) as sink:
        await before.stop()
        with pytest.raises(SinkUnavailableError, match="EndpointConnectionError"):
            await sink.put(RECORDS)
        await before.start()
        assert list(await sink.put(RECORDS)) == []
