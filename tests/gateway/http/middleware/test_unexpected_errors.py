"""An unexpected error shows an id and nothing else."""

import httpx
import pytest
import structlog
from prometheus_client import generate_latest

from gateway.http.middleware.unexpected_errors import UnexpectedErrors
from gateway.observability.metrics import Metrics
from tests.support.gateway import metric


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
