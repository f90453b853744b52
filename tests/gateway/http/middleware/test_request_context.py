"""Request ids and traces, of every request and its answer."""

import asyncio
import re

import httpx
import pytest

from tests.support.gateway import LiveGateway

HEX_ID = re.compile(r"[0-9a-f]{32}")
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.mark.parametrize("offered", ["a", "Az09._-", "x" * 64])
async def test_a_plain_request_id_is_taken_over(local: httpx.AsyncClient, offered: str):
    answer = await local.get("/studies/1", headers={"X-Request-ID": offered})
    assert answer.headers["x-request-id"] == offered
    assert f"'request_id': '{offered}'" in answer.json()["bound"]


@pytest.mark.parametrize(
    "offered", [b"", b"x" * 65, b"a b", b"<script>", b"a\xff", b"../etc", b'"}', b"a;b", b"a\tb"]
)
async def test_a_hostile_request_id_is_replaced(local: httpx.AsyncClient, offered: bytes):
    answer = await local.get("/studies/1", headers=[(b"X-Request-ID", offered)])
    assert HEX_ID.fullmatch(answer.headers["x-request-id"])


async def test_every_request_gets_an_id_of_its_own(local: httpx.AsyncClient):
    answers = [await local.get("/studies/1") for _ in range(3)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_a_valid_trace_is_continued(local: httpx.AsyncClient, flags: str):
    sent = f"00-{TRACE}-{PARENT}-{flags}"
    answer = await local.get("/studies/1", headers={"traceparent": sent})
    # No span is recorded here, so the caller's stays the parent of whatever comes.
    assert answer.headers["traceparent"] == sent
    assert answer.json()["trace"] == TRACE


@pytest.mark.parametrize(
    "sent",
    [
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-extra",
        f"00-{TRACE}-{PARENT}",
        "hello",
    ],
)
async def test_an_invalid_trace_is_begun_anew(local: httpx.AsyncClient, sent: str):
    answer = await local.get("/studies/1", headers={"traceparent": sent})
    version, trace, _, flags = answer.headers["traceparent"].split("-")
    assert (version, flags) == ("00", "00")
    assert HEX_ID.fullmatch(trace)
    assert trace != TRACE
    assert answer.json()["trace"] == trace


async def test_ids_of_requests_at_the_same_time_do_not_mix(local: httpx.AsyncClient):
    answers = await asyncio.gather(
        *(local.get("/studies/1", headers={"X-Request-ID": f"r-{n}"}) for n in range(20))
    )
    for number, answer in enumerate(answers):
        assert f"'request_id': 'r-{number}'" in answer.json()["bound"]


async def test_the_gateway_itself_gives_ids_with_every_answer(gateway: LiveGateway):
    for path in ("/livez", "/v1/studies/none", "/nowhere", "/docs/assets/none.js", "/docs"):
        answer = await gateway.client.get(path, headers={"X-Request-ID": "r-7"})
        assert answer.headers["x-request-id"] == "r-7"
        assert answer.headers["traceparent"]
