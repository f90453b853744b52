"""Slow, large, silent and too many: what a connection may cost, over real ones."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from gateway.settings import HttpSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.connections import connected, head
from tests.support.gateway import LiveGateway, running_gateway, settings_for, until

LIVEZ = head(line="GET /livez HTTP/1.1")
LIMIT = 100_000


@pytest.fixture(scope="module")
async def strict(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway of little patience, with five connections."""
    settings = settings_for(
        triton.grpc_url, tmp_path_factory.mktemp("store"), body_bytes=LIMIT
    ).model_copy(
        update={
            "http": HttpSettings(
                port=0,
                connections=5,
                keep_alive_s=1,
                head_timeout_s=0.5,
                head_bytes=4096,
                body_grace_s=0.3,
                body_bytes_per_s=10_000_000,
            )
        }
    )
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield gateway


def is_problem(answer: bytes, status: int, kind: str) -> bool:
    return (
        answer.startswith(b"HTTP/1.1 %d " % status)
        and b"content-type: application/problem+json" in answer
        and b"x-content-type-options: nosniff" in answer.lower()
        and f'"type":"urn:radstream:problem:{kind}"'.encode() in answer
    )


async def test_a_connection_that_says_nothing_is_closed(strict: LiveGateway):
    async with connected(strict) as connection:
        assert await connection.rest() == b""


@pytest.mark.parametrize("begun", [b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: gate"])
async def test_a_head_that_does_not_end_is_answered_and_the_connection_closed(
    strict: LiveGateway, begun: bytes
):
    async with connected(strict) as connection:
        await connection.send(begun)
        assert is_problem(await connection.rest(), 408, "request-too-slow")


async def test_a_second_head_is_waited_for_no_longer_than_the_first(strict: LiveGateway):
    async with connected(strict) as connection:
        await connection.send(LIVEZ + b"GET /liv")
        assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")
        assert is_problem(await connection.rest(), 408, "request-too-slow")


@pytest.mark.parametrize("more", [b"", b"\r\n"])
async def test_a_connection_silent_after_its_answer_is_closed(strict: LiveGateway, more: bytes):
    async with connected(strict) as connection:
        await connection.send(LIVEZ)
        assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")
        await connection.send(more)  # begins no request
        assert await connection.rest() == b""


@pytest.mark.parametrize(
    "pieces",
    [
        [head(f"X-Long: {'x' * 5000}", line="GET /livez HTTP/1.1")],
        [head(*[f"X-{n}: {'x' * 50}" for n in range(100)], line="GET /livez HTTP/1.1")],
        [head(line=f"GET /{'x' * 5000} HTTP/1.1")],
        [b"GET /livez HTTP/1.1\r\nX-Endless: ", *[b"x" * 1000] * 10],
        [b"GET /", *[b"x" * 1000] * 10],
    ],
)
async def test_a_head_beyond_its_size_is_refused(strict: LiveGateway, pieces: list[bytes]):
    async with connected(strict) as connection:
        for piece in pieces:
            await connection.send(piece)
        assert is_problem(await connection.rest(), 431, "head-too-large")


async def test_what_is_no_http_is_told_so(strict: LiveGateway):
    async with connected(strict) as connection:
        await connection.send(b"hello\r\n\r\n")
        assert is_problem(await connection.rest(), 400, "malformed-request")


async def test_a_body_that_comes_too_slowly_is_given_up(strict: LiveGateway):
    async with connected(strict) as connection:
        await connection.send(head("Content-Length: 1000") + b"a few")
        answer = await connection.answer()
        assert is_problem(answer, 408, "request-too-slow")
        assert b"\r\nconnection: close\r\n" in answer.lower()
    assert await strict.metric("radstream_admitted_bytes") == 0


@pytest.mark.parametrize(
    "request_head",
    [
        head("Content-Length: 20000000"),
        head("Content-Length: 20000000", "Connection: close"),
        head("Content-Length: 20000000", line="POST /v1/studies HTTP/1.0"),  # as nginx asks
    ],
)
async def test_who_sends_all_before_it_reads_gets_the_answer_to_a_refused_body(
    strict: LiveGateway, request_head: bytes
):
    async with connected(strict) as connection:
        await connection.send(request_head)
        for _ in range(20):
            await connection.send(b"\0" * 1_000_000)
        assert is_problem(await connection.answer(), 413, "body-too-large")


async def test_who_reads_while_it_sends_is_refused_before_the_body(strict: LiveGateway):
    async with connected(strict) as connection:
        await connection.send(head("Content-Length: 20000000"))
        assert is_problem(await connection.answer(), 413, "body-too-large")


async def test_the_next_request_follows_a_body_that_was_thrown_away(strict: LiveGateway):
    async with connected(strict) as connection:
        await connection.send(head("Content-Length: 200000"))
        assert (await connection.answer()).startswith(b"HTTP/1.1 413 ")
        await connection.send(b"\0" * 200_000 + LIVEZ)
        assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")
        assert await connection.rest() == b""  # and its silence ends as any other


async def test_a_connection_asked_to_be_closed_is_closed_behind_the_body(strict: LiveGateway):
    async with connected(strict) as connection:
        await connection.send(head("Content-Length: 200000", "Connection: close"))
        assert (await connection.answer()).startswith(b"HTTP/1.1 413 ")
        await connection.send(b"\0" * 200_000)
        assert await connection.rest() == b""


async def test_a_new_connection_takes_the_place_of_the_one_silent_for_longest(
    strict: LiveGateway,
):
    async with AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(connected(strict)) for _ in range(5)]
        for connection in silent:
            await connection.send(LIVEZ)
            assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")
        newcomer = await stack.enter_async_context(connected(strict))
        await newcomer.send(LIVEZ)
        assert (await newcomer.answer()).startswith(b"HTTP/1.1 200 ")
        assert await silent[0].rest() == b""
        await silent[-1].send(LIVEZ)
        assert (await silent[-1].answer()).startswith(b"HTTP/1.1 200 ")


async def test_a_connection_too_many_is_refused_while_all_others_are_busy(strict: LiveGateway):
    refused = {"reason": "connections"}
    before = await strict.metric("radstream_admission_rejected_total", **refused)
    async with AsyncExitStack() as stack:
        for _ in range(5):
            busy = await stack.enter_async_context(connected(strict))
            await busy.send(head("Content-Length: 1000"))
        late = await stack.enter_async_context(connected(strict))
        answer = await late.rest()
    assert is_problem(answer, 503, "overloaded")
    assert b"\r\nretry-after: 1\r\n" in answer
    assert await strict.metric("radstream_admission_rejected_total", **refused) == before + 1
