"""A server that dies is started again on its ports."""

import asyncio
from contextlib import suppress

from structlog.testing import capture_logs
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.triton.embedded.own_triton import Traces, affine
from tests.support.gateway import until
from tests.support.processes import is_alive


async def answer_in_the_end(client: InferenceServerClient) -> list[list[float]]:
    while True:
        with suppress(InferenceServerException):
            return await affine(client)
        await asyncio.sleep(0.05)


async def test_server_that_dies_is_back_on_the_same_ports(triton: EmbeddedTriton):
    urls = (triton.grpc_url, triton.http_url, triton.metrics_url)
    before = Traces(triton)
    async with InferenceServerClient(triton.grpc_url) as client:
        with capture_logs() as events:
            before.server.kill()
            assert await answer_in_the_end(client) == [[3, 5, 7]]
    await until(lambda: not any(is_alive(process) for process in before.processes))
    assert (triton.grpc_url, triton.http_url, triton.metrics_url) == urls
    [died] = [event for event in events if event["event"] == "triton.died"]
    assert died["exit_code"] == 128 + 9
    assert {"event": "triton.restarted", "log_level": "info"} in events
    # The new backend process's alone.
    await until(lambda: len(before.shared_memory()) == 1)


async def test_dead_guardian_takes_the_server_with_it_and_both_come_back(triton: EmbeddedTriton):
    before = Traces(triton)
    # As if it waited for the server's lock: the case in which it does not notice its death.
    before.stub.suspend()
    async with InferenceServerClient(triton.grpc_url) as client:
        before.guardian.kill()
        assert await answer_in_the_end(client) == [[3, 5, 7]]
    await until(lambda: not any(is_alive(process) for process in before.processes))
    await until(lambda: len(before.shared_memory()) == 1)


async def test_restart_that_is_asked_for_brings_another_server_on_the_same_ports(
    triton: EmbeddedTriton,
):
    before, url = Traces(triton), triton.grpc_url
    # A server that another test killed may answer a moment before its start is over.
    await until(triton.restart)
    async with InferenceServerClient(url) as client:
        await until(lambda: not is_alive(before.server))
        assert not triton.restart()  # it is being started already
        assert await answer_in_the_end(client) == [[3, 5, 7]]
    assert triton.grpc_url == url
    await until(lambda: len(before.shared_memory()) == 1)
