"""How a request's body is read, over a real connection."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import Request

from gateway.errors import RequestTooSlowError
from gateway.http.requests.body import body_pieces
from gateway.settings import HttpSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.connections import chunked, head
from tests.support.gateway import LiveGateway, running_gateway, settings_for, until

LIMIT = 100_000


@pytest.fixture(scope="module")
async def small(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway that takes bodies of 100,000 bytes."""
    folder = tmp_path_factory.mktemp("store")
    async with running_gateway(settings_for(triton.grpc_url, folder, body_bytes=LIMIT)) as gateway:
        yield gateway


async def exchange(gateway: LiveGateway, *pieces: bytes) -> bytes:
    """All that comes back on one connection for these bytes."""
    address = httpx.URL(gateway.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_body_up_to_the_limit_is_read(small: LiveGateway):
    answer = await small.client.post(
        "/v1/studies", content=b"\0" * LIMIT, headers={"Content-Type": "image/png"}
    )
    assert answer.json()["type"].endswith((":invalid-parts", ":unsupported-image"))


@pytest.mark.parametrize("excess", [1, 5_000_000])
async def test_one_byte_more_is_refused_once_all_was_sent(small: LiveGateway, excess: int):
    # A caller that looks for no answer before its last byte still gets this one.
    answer = await small.client.post(
        "/v1/studies", content=b"\0" * (LIMIT + excess), headers={"Content-Type": "image/png"}
    )
    assert answer.status_code == 413
    assert answer.json()["detail"].startswith("The body has more than 100000 bytes.")


async def test_a_chunked_body_is_held_to_the_limit_too(small: LiveGateway):
    answer = await exchange(
        small,
        head("Transfer-Encoding: chunked", "Connection: close"),
        *[chunked(b"\0" * 40_000)] * 3,
        b"0\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("header", "status"), [("X-Nothing: special", b"413"), ("Content-Type: text/plain", b"415")]
)
async def test_a_caller_that_asks_first_is_refused_before_it_sends(
    small: LiveGateway, header: str, status: bytes
):
    answer = await exchange(small, head("Content-Length: 100001", "Expect: 100-continue", header))
    assert answer.startswith(b"HTTP/1.1 " + status)
    # The body that was never sent would be looked for in the next request.
    assert b"\r\nconnection: close\r\n" in answer.lower()


async def test_a_caller_that_asks_first_is_told_to_go_on(small: LiveGateway):
    answer = await exchange(
        small,
        head("Content-Length: 4", "Expect: 100-continue", "Connection: close"),
        b"\0\0\0\0",
    )
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 4")


async def test_a_body_shorter_than_it_says_is_a_caller_gone(small: LiveGateway):
    gone = {"route": "/v1/studies", "method": "POST", "status": "499"}
    before = await small.metric("radstream_http_requests_total", **gone)
    address = httpx.URL(small.url)
    _, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(head("Content-Length: 1000") + b"too few")
    writer.close()
    await writer.wait_closed()

    async def is_counted() -> bool:
        return await small.metric("radstream_http_requests_total", **gone) == before + 1

    await until(is_counted)
    assert small.stored() == []


async def test_what_comes_after_a_body_is_no_part_of_it(small: LiveGateway):
    answer = await exchange(small, head("Content-Length: 4"), b"\0\0\0\0 and more\r\n\r\n")
    assert b"HTTP/1.1 400 " in answer


@pytest.mark.parametrize("length", ["-1", "1e3", "1_000", "0x10", ""])
async def test_a_length_that_is_no_number_is_refused(small: LiveGateway, length: str):
    answer = await exchange(small, head(f"Content-Length: {length}", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("coding", "named"),
    [("gzip", "gzip"), ("identity, GZIP", "gzip"), ("br", "br"), ("MUSTERMANN", "another coding")],
)
async def test_a_content_coding_is_refused_by_its_name(small: LiveGateway, coding: str, named: str):
    headers = {"Content-Type": "image/png", "Content-Encoding": coding}
    answer = await small.client.post("/v1/studies", content=b"\x1f\x8b", headers=headers)
    assert answer.status_code == 415
    problem = answer.json()
    assert problem["type"] == "urn:radstream:problem:unsupported-content-encoding"
    assert problem["detail"].startswith(f"The body is under {named}. Send it as it is")


async def test_a_body_as_it_is_may_say_so(small: LiveGateway):
    headers = {"Content-Type": "image/png", "Content-Encoding": "identity"}
    answer = await small.client.post("/v1/studies", content=b"x", headers=headers)
    assert answer.json()["type"].endswith((":invalid-parts", ":unsupported-image"))


def body_of(*pieces: bytes) -> Request:
    """A request whose body comes in these pieces and stops there, its end still to come."""
    coming = list(pieces)

    async def receive() -> dict[str, object]:
        if coming:
            return {"type": "http.request", "body": coming.pop(0), "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    return Request({"type": "http", "headers": []}, receive)


async def test_a_body_in_pieces_that_stops_coming_is_given_up():
    pace = HttpSettings(body_grace_s=0.1, body_bytes_per_s=2**30)
    pieces = body_pieces(body_of(b"one", b"", b"two"), pace)
    assert [await anext(pieces), await anext(pieces)] == [b"one", b"two"]
    with pytest.raises(RequestTooSlowError):
        await anext(pieces)


async def test_the_time_that_its_reader_takes_is_not_the_senders():
    pace = HttpSettings(body_grace_s=0.1, body_bytes_per_s=2**30)
    pieces = body_pieces(body_of(b"one", b"two"), pace)
    assert await anext(pieces) == b"one"
    await asyncio.sleep(3 * pace.body_grace_s)  # what the sender has in all
    assert await anext(pieces) == b"two"
