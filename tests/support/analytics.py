"""Telemetry whose answers follow by hand: studies of three days ago, and of the day after."""

import datetime as dt
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.schemas.reading_event import Event
from gateway.schemas.telemetry import TelemetryEvent

TODAY = dt.datetime.now(dt.UTC).date()
FIRST_DAY = TODAY - dt.timedelta(days=3)
SECOND_DAY = TODAY - dt.timedelta(days=2)
STAGES = ("validate", "admit", "decode", "tensor", "infer", "store", "total")

_numbers = itertools.count(1)


def study(
    ref: str, day: dt.date, time: str, *, stages: Iterable[str] = STAGES, **changes: Any
) -> list[TelemetryEvent]:
    """The events of one submission, all of the same moment.

    Parameters
    ----------
    ref
        One or two characters of the study_ref.
    stages
        Those that have an event.
    **changes
        Fields of all events. ``total_ms`` and ``infer_ms`` are the latencies of these stages, 1 ms
        is the others'. Status and error code are those of the last two stages.
    """
    stages = list(stages)
    latencies = {"total": changes.pop("total_ms", 1.0), "infer": changes.pop("infer_ms", 1.0)}
    ending = {key: changes.pop(key) for key in ("status", "error_code") if key in changes}
    common = {
        "occurred_at": dt.datetime.combine(day, dt.time.fromisoformat(time), dt.UTC),
        "study_ref": ref.rjust(32, "0"),
        "status": "success",
        "model": "m",
        "model_version": "1",
        "images": 1,
        "image_bytes": 1_000_000,
        "rows": 100,
        "columns": 80,
        "route": "rest",
        "gateway_version": "0.1.0",
        "instance": "gateway-1",
    } | changes
    return [
        TelemetryEvent(
            event_id=f"{next(_numbers):032x}",
            stage=stage,
            latency_ms=latencies.get(stage, 1.0),
            **common | (ending if stage in stages[-2:] else {}),
        )
        for stage in stages
    ]


def two_days() -> list[TelemetryEvent]:
    """Every event once: 24 studies of two gateways, two of which come to nothing.

    Study 1 to 20 of the first day, from 09:00 a minute apart, take 10, 20, ... 200 ms in all, of
    which 1, 2, ... 20 ms to infer. At 10:00, 10:15 and 10:30 follow one that is refused, one that
    fails, and one of two images with another version. At 23:10 of the second day comes one more, by
    event, to the second gateway.
    """
    events = []
    for n in range(1, 21):
        time = f"09:{n - 1:02d}:00"
        events += study(f"{n:x}", FIRST_DAY, time, total_ms=10.0 * n, infer_ms=float(n))
    refused = {"status": "failed", "error_code": "unreadable-image", "total_ms": 5.0}
    events += study("a0", FIRST_DAY, "10:00:00", stages=[*STAGES[:3], "total"], **refused)
    failed = {"status": "error", "error_code": "inference-unavailable", "model_version": "2"}
    events += study("a1", FIRST_DAY, "10:15:00", stages=[*STAGES[:5], "total"], **failed)
    second = {"model_version": "2", "total_ms": 400.0, "infer_ms": 40.0}
    pair = {"images": 2, "image_bytes": 2_000_000}
    events += study("a2", FIRST_DAY, "10:30:00", **second, **pair)
    other = {"route": "event", "instance": "gateway-2", "total_ms": 50.0, "infer_ms": 8.0}
    return events + study("a3", SECOND_DAY, "23:10:00", **other)


def write(folder: Path, lines: Iterable[str], *, begun: dt.date = FIRST_DAY) -> Path:
    """A file of the embedded sink with these lines, begun on that day."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"telemetry-{begun:%Y%m%d}T000000.000000Z-{next(_numbers):08x}.jsonl"
    file.write_text("".join(lines))
    return file


def lines_of(events: Iterable[Event], **changes: Any) -> list[str]:
    """Each event as a record has it, with fields changed into what the schema may not allow."""
    return [
        json.dumps(event.model_dump(mode="json", by_alias=True) | changes) + "\n"
        for event in events
    ]
