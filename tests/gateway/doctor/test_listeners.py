"""The gateway's own listeners, from outside."""

import asyncio
from pathlib import Path

import pytest

from gateway.doctor.clocks import Clocks
from gateway.doctor.findings import Outcome, Side
from gateway.doctor.listeners import dicom_finding, http_finding
from gateway.routing.document import read_routing
from gateway.settings import DimseSettings
from tests.gateway.doctor.conftest import web_server
from tests.support.aws import free_port
from tests.support.dimse import dimse_settings, running_listener
from tests.support.gateway import LiveGateway

# pynetdicom leaves a socket that did not connect to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


async def test_a_gateway_that_is_ready(gateway: LiveGateway):
    assert (await http_finding(gateway.url, Clocks())).outcome is Outcome.OK


async def test_a_gateway_without_a_triton_and_something_else(tmp_path: Path):
    async with running_listener(dimse_settings(tmp_path)) as listener:
        waiting = await http_finding(listener.gateway.url, Clocks())
    assert "is not ready" in waiting.detail
    async with web_server(("/readyz", 200, ["hello"])) as url:
        other = await http_finding(url, Clocks())
    assert "is no RadStream" in other.detail
    none = await http_finding(f"http://127.0.0.1:{free_port()}", Clocks())
    assert "nothing listens" in none.detail


async def test_a_listener_answers_an_echo(tmp_path: Path):
    settings = dimse_settings(tmp_path)
    async with running_listener(settings):
        finding = await dicom_finding(settings.dimse, None)
        wrong = settings.dimse.model_copy(update={"ae_title": "OTHER"})
        other = await dicom_finding(wrong, None)
    assert finding.detail == "C-ECHO answered"
    assert (other.outcome, other.side) == (Outcome.FAULT, Side.GATEWAY)
    assert "RADSTREAM_DIMSE__AE_TITLE" in (other.change or "")


async def test_a_listener_calls_as_one_of_its_senders(tmp_path: Path):
    sender = {"name": "ct", "ae_title": "CT1", "addresses": ["127.0.0.0/8"]}
    settings = dimse_settings(tmp_path, senders=[sender])
    assert settings.routing.file is not None
    document = await asyncio.to_thread(read_routing, settings.routing.file)
    async with running_listener(settings):
        known = await dicom_finding(settings.dimse, document)
        strange = await dicom_finding(settings.dimse, None)
    assert known.detail == "C-ECHO answered"
    assert "takes no senders but those" in strange.detail


async def test_a_listener_that_is_off_or_away():
    off = await dicom_finding(DimseSettings(listen=False), None)
    assert off.outcome is Outcome.SKIPPED
    port = free_port()
    away = await dicom_finding(DimseSettings(listen=True, port=port), None)
    assert away.outcome is Outcome.FAULT
    assert "RADSTREAM_DIMSE__PORT" in (away.change or "")
