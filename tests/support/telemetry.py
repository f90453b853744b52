"""Telemetry for the tests: what studies tell, kept in a list."""

import datetime as dt
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.problems import problem_of
from gateway.schemas.reading_event import Event, ReadingEvent
from gateway.schemas.telemetry import TelemetryEvent
from gateway.studies.recorder import StudyRecorder
from gateway.telemetry.records import TelemetryRecord, check_batch

Refusal = Callable[[Sequence[TelemetryRecord]], Awaitable[Sequence[int]]]


class Told(StudyRecorder):
    """Outcomes that keep the events of stages, those of readings, and those of acceptance runs."""

    events: list[TelemetryEvent]
    readings: list[ReadingEvent]
    of_runs: list[tuple[Event, str]]

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.events, self.readings, self.of_runs = [], [], []
        super().__init__(
            self._keep,
            lambda event, run: self.of_runs.append((event, run)),
            metrics=metrics or Metrics(CollectorRegistry()),
            pseudonyms=Pseudonyms("key"),
            problem_of=problem_of,
            instance="test",
        )

    def _keep(self, event: Event) -> None:
        if isinstance(event, ReadingEvent):
            self.readings.append(event)
        else:
            self.events.append(event)


def event(**changes: Any) -> TelemetryEvent:
    """An event of some study."""
    fields: dict[str, Any] = {
        "occurred_at": dt.datetime.now(dt.UTC),
        "study_ref": secrets.token_hex(16),
        "stage": "total",
        "status": "success",
        "latency_ms": 12.5,
        "route": "rest",
        "gateway_version": "0.1.0",
        "instance": "test",
    }
    return TelemetryEvent(**fields | changes)


class MemorySink:
    """A sink in memory, held to the same contract tests as the real ones.

    Parameters
    ----------
    refuse
        Asked before each call: the positions to refuse. It may raise, or wait.
    """

    def __init__(self, refuse: Refusal | None = None) -> None:
        self.refuse = refuse
        self.calls: list[Sequence[TelemetryRecord]] = []
        self.taken: list[TelemetryRecord] = []

    async def put(self, records: Sequence[TelemetryRecord]) -> Sequence[int]:
        check_batch(records)
        self.calls.append(records)
        refused = await self.refuse(records) if self.refuse is not None else ()
        self.taken += [record for i, record in enumerate(records) if i not in refused]
        return refused


def event_ids(records: Iterable[TelemetryRecord]) -> list[str]:
    """Of each record's event."""
    return [json.loads(record.data)["event_id"] for record in records]


def reading_event(**changes: Any) -> ReadingEvent:
    """An event of some reading: nothing found in a grey picture."""
    fields: dict[str, Any] = {
        "event_id": secrets.token_hex(16),
        "occurred_at": dt.datetime.now(dt.UTC),
        "study_ref": secrets.token_hex(16),
        "image_ref": secrets.token_hex(16),
        "frame": 1,
        "model": "m",
        "model_version": "1",
        "mode": "live",
        "finding": 1,
        "label": "pneumonia",
        "probability": 0.1,
        "threshold": 0.5,
        "positive": False,
        "applicable": True,
        "rows": 100,
        "columns": 80,
        "bits_stored": 8,
        "mean": 0.5,
        "deviation": 0.25,
        "entropy": 0.8,
        "saturation": 0.01,
        "border": 0.3,
        "route": "rest",
        "gateway_version": "0.1.0",
        "instance": "test",
    }
    return ReadingEvent(**fields | changes)


def events_in(folder: Path) -> list[dict[str, Any]]:
    """Every event of a stage in the files of a folder, in the order of the files."""
    return [event for event in _records(folder) if event["schema"] == "radstream.telemetry/1"]


def readings_in(folder: Path) -> list[dict[str, Any]]:
    """Every event of a reading in the files of a folder, in the order of the files."""
    return [event for event in _records(folder) if event["schema"] == "radstream.telemetry/2"]


def _records(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("telemetry-*.jsonl"))
    lines = [line for file in files for line in file.read_text().splitlines(keepends=True)]
    # The last line of a file may be on its way to the disk.
    return [json.loads(line) for line in lines if line.endswith("\n")]
