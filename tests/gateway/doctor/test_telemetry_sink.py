"""Telemetry: its spool and its stream."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.doctor.findings import Finding, Outcome, Side
from gateway.doctor.telemetry_sink import telemetry_findings
from gateway.settings import TelemetrySettings
from tests.support.kinesis import Front, kinesis, make_stream


async def found(*, sends: bool = False, **settings: Any) -> list[Finding]:
    telemetry = TelemetrySettings(**settings)
    return [each async for each in telemetry_findings(telemetry, sends=sends)]


async def test_an_old_segment_says_how_far_delivery_is_behind(tmp_path: Path):
    [finding] = await found(spool_folder=tmp_path)
    assert finding.outcome is Outcome.OK
    segment = tmp_path / "1.spool"
    segment.write_text("")
    an_hour_ago = time.time() - 3600
    os.utime(segment, (an_hour_ago, an_hour_ago))
    [finding] = await found(spool_folder=tmp_path)
    assert finding.outcome is Outcome.WARNING
    assert "60 minutes behind" in finding.detail


async def test_telemetry_that_is_off():
    [finding] = await found(kind="none")
    assert finding.outcome is Outcome.SKIPPED


async def test_a_stream_is_asked_where_it_may_be_written_to(s3_url: str, tmp_path: Path):
    kept = {"kind": "kinesis", "study_ref_key": "k" * 32, "spool_folder": tmp_path}
    async with kinesis(s3_url) as client:
        name = await make_stream(client)
    stream = kept | {"stream_name": name, "endpoint": s3_url}
    assert (await found(**stream))[1].outcome is Outcome.SKIPPED
    assert (await found(**stream, sends=True))[1].detail == "takes records"
    missing = (await found(**stream | {"stream_name": "none"}, sends=True))[1]
    assert missing.side is Side.GATEWAY
    assert "RADSTREAM_TELEMETRY__STREAM_NAME" in (missing.change or "")
    away = (await found(**stream | {"endpoint": "http://127.0.0.1:9"}, sends=True))[1]
    assert "RADSTREAM_TELEMETRY__ENDPOINT" in (away.change or "")


@pytest.mark.server
async def test_a_stream_without_capacity(s3_url: str, tmp_path: Path):
    front = Front(s3_url)
    front.refuses = lambda _number: True
    await front.start()
    try:
        async with kinesis(s3_url) as client:
            name = await make_stream(client)
        [_, finding] = await found(
            kind="kinesis",
            study_ref_key="k" * 32,
            spool_folder=tmp_path,
            stream_name=name,
            endpoint=front.url,
            sends=True,
        )
    finally:
        await front.stop()
    assert finding.outcome is Outcome.WARNING
    assert "more shards" in (finding.change or "")
