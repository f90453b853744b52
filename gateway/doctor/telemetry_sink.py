"""Telemetry: what lies in the spool, and whether its stream takes records."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from gateway.doctor.findings import Check, FaultError, Finding, Outcome, Side
from gateway.settings import DELIMITER, PREFIX
from gateway.telemetry.kinesis_sink import KinesisSink, kinesis_client
from gateway.telemetry.records import SinkUnavailableError, TelemetryRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.settings import TelemetrySettings

_TELEMETRY = f"{PREFIX}TELEMETRY{DELIMITER}"
# A sink that is back takes what was spooled within a minute or two.
_LATE_S = 600.0
_EMPTY = TelemetryRecord("doctor", b"{}\n")


async def telemetry_findings(settings: TelemetrySettings, *, sends: bool) -> AsyncIterator[Finding]:
    """Yield how far delivery is behind, and what the stream says.

    Parameters
    ----------
    sends
        True to put an empty record into the stream: nothing less shows that the gateway may.
    """
    if settings.kind == "none":
        yield Finding(Check.TELEMETRY, "none", Outcome.SKIPPED, "telemetry is off")
        return
    yield _lag(settings.spool_folder)
    if settings.kind != "kinesis":
        return
    target = settings.stream_name or ""
    if not sends:
        detail = "the stream is asked with --store alone"
        yield Finding(Check.TELEMETRY, target, Outcome.SKIPPED, detail)
        return
    try:
        await _put(settings, target)
    except FaultError as error:
        yield error.of(Check.TELEMETRY, target)
    else:
        yield Finding(Check.TELEMETRY, target, Outcome.OK, "takes records")


def _lag(folder: Path) -> Finding:
    """Return how old the oldest segment is that waits for the sink."""
    target = str(folder)
    try:
        written = [path.stat().st_mtime for path in folder.rglob("*.spool")]
    except OSError as error:
        change = f"{_TELEMETRY}SPOOL_FOLDER: a folder that this account may read"
        detail = f"it cannot be read: {error.strerror}"
        return Finding(Check.TELEMETRY, target, Outcome.FAULT, detail, Side.GATEWAY, change)
    behind_s = time.time() - min(written, default=time.time())
    if behind_s < _LATE_S:
        detail = f"segments in the spool: {len(written)}"
        return Finding(Check.TELEMETRY, target, Outcome.OK, detail)
    detail = f"delivery is {behind_s / 60:.0f} minutes behind, segments: {len(written)}"
    change = "the sink: it takes less than it is given, or nothing; and the gateway must be running"
    return Finding(Check.TELEMETRY, target, Outcome.WARNING, detail, Side.EITHER, change)


async def _put(settings: TelemetrySettings, stream_name: str) -> None:
    try:
        async with kinesis_client(region=settings.region, endpoint=settings.endpoint) as client:
            sink = KinesisSink(client, stream_name, timeout_s=settings.timeout_s)
            refused = await sink.put([_EMPTY])
    except SinkUnavailableError as error:
        raise FaultError(*_meaning(error.reason, stream_name)) from error
    if refused:
        raise FaultError(
            "it refused the record, as of a shard without capacity",
            Side.PEER,
            f"more shards for {stream_name}, or on-demand capacity",
            Outcome.WARNING,
        )


def _meaning(reason: str, stream_name: str) -> tuple[str, Side, str]:
    if reason == "ResourceNotFoundException":
        change = f"{_TELEMETRY}STREAM_NAME and {_TELEMETRY}REGION: a stream that is there"
        return "there is no such stream", Side.GATEWAY, change
    if reason.startswith("AccessDenied"):
        change = f"the role's policy: allow kinesis:PutRecords on {stream_name}"
        return "kinesis:PutRecords is denied", Side.PEER, change
    change = f"{_TELEMETRY}ENDPOINT and {_TELEMETRY}REGION, the credentials, or the way to Kinesis"
    return f"no answer: {reason}", Side.EITHER, change
