"""Requests sent before the answer to the last, and answers that nobody takes, over real sockets."""

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.http.protocol import pipelining
from gateway.http.protocol.pipelining import PipeliningProtocol
from gateway.triton.embedded import EmbeddedTriton
from tests.support.connections import chunked, connected, head
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png

OPENAPI = head(line="GET /openapi.json HTTP/1.1")
LIVEZ = head(line="GET /livez HTTP/1.1")
MOST_BYTES = 2**20


@pytest.fixture(scope="module")
async def gateway(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway on whose connections little may wait in all."""
    settings = settings_for(triton.grpc_url, tmp_path_factory.mktemp("store"))
    http = settings.http.model_copy(update={"waiting_bytes": MOST_BYTES})
    async with running_gateway(settings.model_copy(update={"http": http})) as gateway:
        await until(gateway.is_ready)
        yield gateway


@contextmanager
def slow_reader(gateway: LiveGateway) -> Iterator[socket.socket]:
    """A connection whose own end takes little before it is read from; reset at the end."""
    address = httpx.URL(gateway.url)
    with socket.socket() as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ours.connect((address.host, address.port))
        ours.setblocking(False)
        yield ours


async def paused(gateway: LiveGateway, ours: socket.socket) -> PipeliningProtocol:
    """The gateway's end of the connection, once it waits for its answers to be taken."""

    def found() -> list[PipeliningProtocol]:
        return [
            connection
            for connection in gateway.server.server_state.connections
            if isinstance(connection, PipeliningProtocol)
            and connection.client == ours.getsockname()
            and connection.flow.write_paused
        ]

    await until(lambda: found() != [])
    return found()[0]


async def test_no_answer_is_made_before_those_in_front_of_it_are_taken(gateway: LiveGateway):
    whole = len((await gateway.client.get("/openapi.json")).content)
    with slow_reader(gateway) as ours:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, OPENAPI * 1000)
        connection = await paused(gateway, ours)
        assert connection.transport.get_write_buffer_size() < 64 * 2**10 + whole + 2000
        assert 1 <= len(connection.pipeline) <= 12  # of the thousand, the others are bytes
        assert connection.waiting_bytes() < 1000 * len(OPENAPI) + 64 * 2**10 + whole + 2000


async def test_a_thousand_requests_in_one_go_are_all_answered_in_their_order(
    gateway: LiveGateway,
):
    paths = [f"/v1/studies/none-{number}" for number in range(1000)]
    async with connected(gateway) as connection:
        sending = asyncio.create_task(
            connection.send(b"".join(head(line=f"GET {path} HTTP/1.1") for path in paths))
        )
        ids = []
        for _ in paths:
            answer = await connection.answer()
            assert answer.startswith(b"HTTP/1.1 404 ")
            ids.append(answer.partition(b"urn:radstream:request:")[2][:32])
        await sending
        assert len(set(ids)) == 1000
        await connection.send(LIVEZ)
        assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [3, 300, 3000, 70_000])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_request_behind_a_body_is_told_from_it(
    gateway: LiveGateway, size: int, is_chunked: bool
):
    body = (LIVEZ * (size // len(LIVEZ) + 1))[:size]  # read as requests it would be answered
    framed = chunked(body) + chunked(b"") if is_chunked else body
    length = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
    async with connected(gateway) as connection:
        sending = asyncio.create_task(connection.send((head(length) + framed + LIVEZ) * 3))
        for _ in range(3):
            assert (await connection.answer()).startswith(b"HTTP/1.1 422 ")
            assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")
        await sending


async def test_a_head_cut_by_the_wait_for_a_turn_is_no_slow_one(
    gateway: LiveGateway,
):
    with slow_reader(gateway) as ours:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, OPENAPI * 100 + OPENAPI[:10])
        connection = await paused(gateway, ours)
        connection._on_slow_head()  # as its timer does
        assert not connection.transport.is_closing()


async def test_beyond_what_may_wait_in_all_the_oldest_is_closed_and_a_study_is_read(
    gateway: LiveGateway,
):
    name = "radstream_http_connections_given_up_total"
    before = await gateway.metric(name)
    readers = [slow_reader(gateway) for _ in range(40)]
    loop = asyncio.get_running_loop()
    ours = [reader.__enter__() for reader in readers]
    try:
        for reader in ours:
            await loop.sock_sendall(reader, OPENAPI * 40)

        async def were_given_up() -> bool:
            return await gateway.metric(name) > before

        await until(were_given_up)
        await until(
            lambda: (
                sum(
                    connection.waiting_bytes()
                    for connection in gateway.server.server_state.connections
                    if isinstance(connection, PipeliningProtocol)
                )
                <= MOST_BYTES
            )
        )
        sent = await gateway.client.post("/v1/studies", **multipart(metadata(), flat_png(200)))
        assert sent.status_code == 200
        assert await _ended(ours[0])
    finally:
        for reader in readers:
            reader.__exit__(None, None, None)


async def _ended(ours: socket.socket) -> bool:
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(ours, 2**16):
            pass
    except ConnectionResetError:
        pass
    return True


async def test_an_answer_that_nobody_takes_ends_its_connection(
    gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pipelining, "_UNREAD_S", 0.2)
    with slow_reader(gateway) as ours:
        await asyncio.get_running_loop().sock_sendall(ours, OPENAPI * 100)
        connection = await paused(gateway, ours)
        await until(connection.transport.is_closing)


async def test_who_leaves_with_requests_unanswered_is_no_error(
    gateway: LiveGateway, caplog: pytest.LogCaptureFixture
):
    paths = ["/openapi.json", "/v1/studies", "/livez", "/docs/assets/swagger-ui-bundle.js"]
    requests = b"".join(head(line=f"GET {path} HTTP/1.1") for path in paths * 50)
    with capture_logs() as logs, caplog.at_level(logging.WARNING):
        for left_after in (0, 1, 20_000, 300_000):
            with slow_reader(gateway) as ours:
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(ours, requests)
                taken = 0
                while taken < left_after:
                    taken += len(await loop.sock_recv(ours, min(2**16, left_after - taken)))

        async def nothing_is_under_way() -> bool:
            return await gateway.metric("radstream_http_requests_in_flight") == 1  # this one

        await until(nothing_is_under_way)
    assert [line for line in logs if line["log_level"] in {"warning", "error"}] == []
    assert caplog.records == []
