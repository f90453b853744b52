"""Telemetry goes where the settings say, and what was taken is there at the end."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from gateway.app.lifespan.telemetry import open_telemetry
from gateway.observability.metrics import Metrics
from gateway.settings import TelemetrySettings
from tests.support.analytics import two_days
from tests.support.telemetry import events_in


def settings_in(folder: Path, **changes: object) -> TelemetrySettings:
    folders = {"folder": folder / "events", "spool_folder": folder / "spool"}
    return TelemetrySettings.model_validate(folders | changes)


async def test_events_are_in_the_files_when_the_block_has_ended(tmp_path: Path):
    settings, events = settings_in(tmp_path), two_days()
    async with open_telemetry(settings, Metrics(CollectorRegistry())) as emit:
        for event in events:
            emit(event)
    told = events_in(settings.folder)
    assert {event["event_id"] for event in told} == {event.event_id for event in events}


async def test_events_that_a_stream_does_not_take_are_in_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    settings = settings_in(
        tmp_path,
        kind="kinesis",
        stream_name="events",
        study_ref_key=SecretStr("key"),
        region="eu-central-1",
        endpoint="http://127.0.0.1:9",
        drain_s=0,
    )
    event = two_days()[0]
    async with open_telemetry(settings, Metrics(CollectorRegistry())) as emit:
        emit(event)
    spooled = b"".join(file.read_bytes() for file in settings.spool_folder.glob("*.spool"))
    assert event.event_id.encode() in spooled


async def test_no_telemetry_leaves_no_trace(tmp_path: Path):
    settings = settings_in(tmp_path, kind="none")
    async with open_telemetry(settings, Metrics(CollectorRegistry())) as emit:
        emit(two_days()[0])
    assert list(tmp_path.iterdir()) == []
