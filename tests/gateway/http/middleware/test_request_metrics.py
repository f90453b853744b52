"""Requests are counted by route, method and status alone."""

import httpx
from prometheus_client import generate_latest

from gateway.observability.metrics import Metrics
from tests.support.gateway import LiveGateway, metric


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


async def test_paths_nobody_knows_make_no_new_series(gateway: LiveGateway):
    labels = {"route": "unmatched", "method": "GET", "status": "404"}
    before = await gateway.metric("radstream_http_requests_total", **labels)
    for number in range(5):
        await gateway.client.get(f"/wp-admin/{number}")
    await gateway.comes_to(before + 5, "radstream_http_requests_total", **labels)
    assert "wp-admin" not in (await gateway.client.get("/metrics")).text
