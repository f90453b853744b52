"""Request ids, traces, metrics by route, and the last word on what nobody foresaw."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from fastapi import FastAPI, Request
from httpx import ASGITransport
from prometheus_client import CollectorRegistry, generate_latest

from gateway.http.middleware.request_context import RequestContext
from gateway.http.middleware.request_metrics import RequestMetrics
from gateway.http.middleware.unexpected_errors import UnexpectedErrors
from gateway.observability.metrics import Metrics
from gateway.observability.tracing import trace_id
from tests.support.gateway import LiveGateway, metric

HEX_ID = re.compile(r"[0-9a-f]{32}")
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def application(metrics: Metrics) -> FastAPI:
    app = FastAPI()

    @app.get("/studies/{study_id}")
    async def study(study_id: str, request: Request) -> dict[str, str]:
        if study_id == "bad":
            raise ValueError("Mustermann^Erika")
        return {
            "bound": str(structlog.contextvars.get_contextvars()),
            "state": str(request.state),
            "trace": str(trace_id()),
        }

    app.add_middleware(UnexpectedErrors)
    app.add_middleware(RequestMetrics, metrics=metrics)
    app.add_middleware(RequestContext)
    return app


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
async def local(metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    transport = ASGITransport(application(metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


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


async def test_requests_are_counted_by_template_and_never_by_path(
    local: httpx.AsyncClient, metrics: Metrics
):
    for path in ("/studies/1", "/studies/2", "/nothing", "/else"):
        await local.get(path)
    await local.request("DELETE", "/studies/1")
    await local.request("BREW", "/studies/1")
    text = generate_latest(metrics.registry).decode()
    name, route = "radstream_http_requests_total", "/studies/{study_id}"
    assert metric(text, name, route=route, method="GET", status="200") == 2
    assert metric(text, name, route=route, method="DELETE", status="405") == 1
    assert metric(text, name, route=route, method="other", status="405") == 1
    assert metric(text, name, route="unmatched", method="GET", status="404") == 2
    assert metric(text, "radstream_http_request_seconds_count", route=route) == 4
    assert metric(text, "radstream_http_requests_in_flight") == 0
    assert "BREW" not in text


async def test_the_unexpected_is_told_by_an_id_alone_and_logged_once(
    local: httpx.AsyncClient, metrics: Metrics
):
    with structlog.testing.capture_logs() as logs:
        answer = await local.get("/studies/bad", headers={"X-Request-ID": "r-1"})
    assert answer.status_code == 500
    assert answer.json() == {
        "type": "urn:radstream:problem:internal",
        "title": "Internal server error",
        "status": 500,
        "detail": "The operator finds it in the log by this instance.",
        "instance": "urn:radstream:request:r-1",
    }
    assert [line["event"] for line in logs] == ["request.unexpected_error"]
    text = generate_latest(metrics.registry).decode()
    labels = {"route": "/studies/{study_id}", "method": "GET", "status": "500"}
    assert metric(text, "radstream_http_requests_total", **labels) == 1


async def test_an_answer_already_begun_is_not_begun_again():
    async def begins_and_breaks(_scope: object, _receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        raise ValueError("late")

    sent: list[str] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(str(message["type"]))

    with pytest.raises(ValueError, match="late"), structlog.testing.capture_logs() as logs:
        await UnexpectedErrors(begins_and_breaks)({"type": "http"}, None, send)  # type: ignore[arg-type]
    assert sent == ["http.response.start"]
    assert len(logs) == 1


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


async def test_paths_nobody_knows_make_no_new_series(gateway: LiveGateway):
    labels = {"route": "unmatched", "method": "GET", "status": "404"}
    before = await gateway.metric("radstream_http_requests_total", **labels)
    for number in range(5):
        await gateway.client.get(f"/wp-admin/{number}")
    assert await gateway.metric("radstream_http_requests_total", **labels) == before + 5
    assert "wp-admin" not in (await gateway.client.get("/metrics")).text
