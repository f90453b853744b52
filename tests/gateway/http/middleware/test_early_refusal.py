"""Studies of a known caller that has its share are refused before the application hears of them."""

from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission
from gateway.http.middleware.early_refusal import EarlyRefusal
from gateway.observability.metrics import Metrics
from gateway.schemas.problem import PROBLEM_MEDIA_TYPE, Problem

KEY = (b"x-api-key", b"secret")


class Application:
    """Lets every caller in under one share, and counts them."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, scope: Any, _receive: Any, _send: Any) -> None:
        self.calls += 1
        scope["state"]["share"] = "key ris"


class Door:
    """The middleware before the application, with room for one study."""

    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.admission = Admission(
            bytes_limit=1000, studies_limit=1, pictures_limit=1, metrics=self.metrics
        )
        self.application = Application()
        self.refusal = EarlyRefusal(self.application, self.metrics)

    async def send(
        self, *headers: tuple[bytes, bytes], path: str = "/v1/studies", address: str = "192.0.2.7"
    ) -> list[dict[str, Any]]:
        """Return what is answered past the application."""
        sent: list[dict[str, Any]] = []

        async def take(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": list(headers),
            "client": (address, 1),
            "state": {"gateway": SimpleNamespace(admission=self.admission)},
        }
        await self.refusal(scope, None, take)  # type: ignore[arg-type]  # reads no body
        return sent


@pytest.fixture
async def full() -> Door:
    """One that knows the caller of KEY, whose share is taken."""
    door = Door()
    await door.send(KEY)
    assert door.admission.studies.take("key ris")
    return door


async def test_a_known_caller_without_room_never_reaches_the_application(full: Door):
    start, body = await full.send(KEY)
    assert full.application.calls == 1
    headers = dict(start["headers"])
    assert (start["status"], headers[b"content-type"]) == (503, PROBLEM_MEDIA_TYPE.encode())
    assert int(headers[b"retry-after"]) > 0
    assert int(headers[b"content-length"]) == len(body["body"])
    problem = Problem.model_validate_json(body["body"])
    assert headers[b"x-request-id"].decode() in (problem.instance or "")
    labels = {"route": "/v1/studies", "method": "POST", "status": "503"}
    assert full.metrics.registry.get_sample_value("radstream_http_requests_total", labels) == 1


async def test_a_known_caller_is_let_in_once_there_is_room(full: Door):
    full.admission.studies.give("key ris")
    assert await full.send(KEY) == []
    assert full.application.calls == 2


@pytest.mark.parametrize(
    ("headers", "path", "address"),
    [
        ((KEY,), "/v1/studies", "192.0.2.8"),
        (((b"x-api-key", b"another"),), "/v1/studies", "192.0.2.7"),
        ((), "/v1/studies", "192.0.2.7"),
        ((KEY,), "/v1/events/s3", "192.0.2.7"),
    ],
)
async def test_anybody_and_anything_else_is_the_applications_to_answer(
    full: Door, headers: Any, path: str, address: str
):
    assert await full.send(*headers, path=path, address=address) == []
    assert full.application.calls == 2


async def test_a_caller_that_waits_for_leave_to_send_is_closed(full: Door):
    start, _ = await full.send(KEY, (b"expect", b"100-continue"))
    assert (b"connection", b"close") in start["headers"]
