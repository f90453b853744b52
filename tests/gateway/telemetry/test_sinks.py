"""What every telemetry sink keeps to: one suite, run against each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.telemetry.json_lines_sink import JsonLinesSink
from gateway.telemetry.records import (
    BATCH_BYTES,
    BATCH_RECORDS,
    TelemetryRecord,
    TelemetrySink,
)
from tests.gateway.telemetry.recorded import records
from tests.support.kinesis import kinesis, make_stream, new_sink, records_in
from tests.support.telemetry import MemorySink


@dataclass(frozen=True)
class Opened:
    """A sink and a look into it."""

    sink: TelemetrySink
    lines: Callable[[], Awaitable[list[bytes]]]


@pytest.fixture
async def memory_sink() -> Opened:
    sink = MemorySink()

    async def lines() -> list[bytes]:
        return [record.data for record in sink.taken]

    return Opened(sink, lines)


@pytest.fixture
async def file_sink(tmp_path: Path) -> AsyncIterator[Opened]:
    sink = JsonLinesSink(tmp_path / "telemetry", file_bytes=2**20, folder_bytes=2**30)

    async def lines() -> list[bytes]:
        files = sorted((tmp_path / "telemetry").iterdir())
        return [line for file in files for line in file.read_bytes().splitlines(keepends=True)]

    yield Opened(sink, lines)
    await sink.close()


@pytest.fixture
async def kinesis_sink(s3_url: str) -> AsyncIterator[Opened]:
    async with kinesis(s3_url) as client:
        stream_name = await make_stream(client, shards=1)

        async def lines() -> list[bytes]:
            return [record.data for record in await records_in(client, stream_name)]

        async with new_sink(s3_url, stream_name) as sink:
            yield Opened(sink, lines)


@pytest.fixture(params=["memory_sink", "file_sink", "kinesis_sink"])
def opened(request: pytest.FixtureRequest) -> Opened:
    made: Opened = request.getfixturevalue(request.param)
    return made


async def test_takes_records_as_they_are_and_in_order(opened: Opened):
    sent = [TelemetryRecord("k", data) for data in (b'{"a":"\xc3\xa9"}\n', b"{}\n", b'{"b":1}\n')]
    assert list(await opened.sink.put(sent)) == []
    assert await opened.lines() == [record.data for record in sent]


async def test_adds_to_what_it_has(opened: Opened):
    first, second = records(3), records(4)
    await opened.sink.put(first)
    await opened.sink.put(second)
    assert await opened.lines() == [record.data for record in first + second]


async def test_takes_as_many_records_as_a_batch_has(opened: Opened):
    assert list(await opened.sink.put(records(BATCH_RECORDS))) == []
    assert len(await opened.lines()) == BATCH_RECORDS


# Of aiohttp, for bodies over 1 MiB; the gateway's events are so small that no batch comes near.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_takes_as_many_bytes_as_a_batch_has(opened: Opened):
    full = records(5, BATCH_BYTES // 5 - 32)
    assert sum(record.size for record in full) == BATCH_BYTES
    assert list(await opened.sink.put(full)) == []
    assert len(await opened.lines()) == 5


@pytest.mark.parametrize(
    "too_much", [records(BATCH_RECORDS + 1), records(5, BATCH_BYTES // 5)], ids=["records", "bytes"]
)
async def test_refuses_a_batch_beyond_the_limits_whole(
    opened: Opened, too_much: list[TelemetryRecord]
):
    await opened.sink.put(records(1))
    with pytest.raises(ValueError, match="at most 500 records"):
        await opened.sink.put(too_much)
    assert len(await opened.lines()) == 1
