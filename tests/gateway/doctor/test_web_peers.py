"""Requests to HTTP peers."""

import asyncio

import pytest

from gateway.doctor.clocks import Clocks
from gateway.doctor.findings import FaultError, Outcome, Side
from gateway.doctor.web_peers import WebAnswer, address_of, check_allowed, get
from tests.gateway.doctor.conftest import web_server


def test_an_address_has_the_port_of_its_scheme():
    assert address_of("https://pacs.example.org/x", "u", "a").port == 443
    assert address_of("http://[::1]:8042/x", "u", "a").port == 8042
    assert str(address_of("http://[::1]:8042/x", "u", "a")) == "[::1]:8042"


def test_a_port_that_is_none():
    with pytest.raises(FaultError, match="no valid port"):
        address_of("http://pacs:104x/", "u", "a")


async def test_an_answer_and_its_clock():
    clocks = Clocks()
    async with web_server(("/x", 200, [1])) as url:
        answer = await get(f"{url}/x", address_of(url, "u", "a"), clocks)
    assert answer == WebAnswer(200, b"[1]")
    assert [each.outcome for each in clocks.findings()] == [Outcome.OK]


async def test_what_speaks_no_http():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x02\x00\x00\x00")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(FaultError, match="gives no HTTP answer"):
            await get(url, address_of(url, "u", "a"), Clocks())


def test_credentials_that_are_not_taken():
    check_allowed(WebAnswer(404, b""), "the line")
    with pytest.raises(FaultError, match="answers 401") as caught:
        check_allowed(WebAnswer(401, b""), "the line")
    assert caught.value.side is Side.EITHER
    assert caught.value.change.startswith("the line")
