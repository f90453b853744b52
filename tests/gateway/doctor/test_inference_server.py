"""Triton: its address, and its models."""

from collections.abc import AsyncIterator

import pytest

from gateway.doctor.clocks import Clocks
from gateway.doctor.findings import Finding, Outcome, Side
from gateway.doctor.inference_server import triton_findings
from gateway.settings import TritonSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.doctor.conftest import web_server
from tests.support.aws import free_port
from tests.support.models import GAIN, write_model, write_repository
from tests.support.triton import running_triton


@pytest.fixture(scope="module")
async def own_triton(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedTriton]:
    """A Triton with a model whose golden image does not give what its contract says."""
    folder = write_repository(tmp_path_factory.mktemp("repository"))
    write_model(folder, "off", gain=GAIN / 4)
    async with running_triton(folder) as triton:
        yield triton


async def found(url: str) -> list[Finding]:
    return [each async for each in triton_findings(TritonSettings(url=url), Clocks())]


async def test_each_model_is_held_to_its_golden_image(own_triton: EmbeddedTriton):
    server, *models = await found(own_triton.grpc_url)
    assert server.detail == "answers, model versions: 2"
    by_name = {each.target: each for each in models}
    assert by_name["brightness/1"].outcome is Outcome.OK
    off = by_name["off/1"]
    assert (off.outcome, off.side) == (Outcome.FAULT, Side.PEER)
    assert "the golden image gives" in off.detail
    assert "off/config.pbtxt" in (off.change or "")


async def test_the_port_of_http_is_told_from_that_of_grpc(own_triton: EmbeddedTriton):
    [finding] = await found(own_triton.http_url.removeprefix("http://"))
    assert finding.side is Side.GATEWAY
    assert "is Triton's HTTP port" in finding.detail
    assert "RADSTREAM_TRITON__URL" in (finding.change or "")


async def test_another_server_and_none_at_all():
    async with web_server(("/x", 200, {})) as url:
        [other] = await found(url.removeprefix("http://"))
    assert "is another HTTP server" in other.detail
    [none] = await found(f"127.0.0.1:{free_port()}")
    assert "nothing listens" in none.detail
    assert none.outcome is Outcome.FAULT
    [odd] = await found("triton")
    assert "is no host:port" in odd.detail


async def test_a_default_that_nobody_set_may_be_left_to_the_embedded_triton():
    unset = TritonSettings.model_construct(_fields_set=set(), url=f"127.0.0.1:{free_port()}")
    [none] = [each async for each in triton_findings(unset, Clocks())]
    assert none.outcome is Outcome.WARNING
    assert "`radstream up` has a Triton of its own" in none.detail
