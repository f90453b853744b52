"""Messages come whole and in order, and an end that is gone is no fault."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.app.workers.link import Kind, Link, Message, number_of, numbered


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Link, Link]]:
    one, other = [await Link.over(end) for end in socket.socketpair()]
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()


async def test_messages_of_any_size_come_in_order_both_ways():
    large = bytes(range(256)) * 10_000
    async with linked() as (one, other):
        one.send(Kind.PING)
        one.send(Kind.ALL_METRICS, numbered(7, large))
        other.send(Kind.PONG)
        assert await other.receive() == Message(Kind.PING, b"")
        message = await other.receive()
        assert message is not None
        assert (message.kind, number_of(message.data)) == (Kind.ALL_METRICS, (7, large))
        assert await one.receive() == Message(Kind.PONG, b"")


async def test_the_end_of_the_other_is_told_and_what_is_sent_to_it_is_lost():
    async with linked() as (one, other):
        other.send(Kind.READY)
        await other.close()
        assert await one.receive() == Message(Kind.READY, b"")
        assert await one.receive() is None
        for _ in range(3):
            one.send(Kind.PING)
            await asyncio.sleep(0)


async def test_a_message_that_broke_off_is_the_end():
    one, raw = socket.socketpair()
    link = await Link.over(one)
    with raw:
        raw.sendall(b"\x09\x00\x00\x00\x08half")
    assert await link.receive() is None
    await link.close()
