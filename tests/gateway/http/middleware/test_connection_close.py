"""A connection ends with its answer where the next request on it would be read wrongly."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.http.middleware.connection_close import DrainingConnections, UnsentBodies
from gateway.runtime.health import Health


class Application:
    """Answers by a status, before or after it has asked for the body."""

    def __init__(self, status: int = 200, *, reads: bool = False) -> None:
        self.status, self.reads = status, reads

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        if self.reads:
            await receive()
        await send({"type": "http.response.start", "status": self.status, "headers": []})


async def closes(application, *, expect: bool = False) -> bool:
    headers = [(b"expect", b"100-continue")] if expect else []
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await application({"type": "http", "headers": headers}, receive, send)
    return (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize(
    ("application", "expect", "closed"),
    [
        (Application(503), True, True),
        (Application(200, reads=True), True, False),
        (Application(503), False, False),
        (Application(408, reads=True), False, True),
        (Application(408, reads=True), True, True),
    ],
)
async def test_a_body_that_was_not_asked_for_ends_the_connection(
    application: Application, expect: bool, closed: bool
):
    assert await closes(UnsentBodies(application), expect=expect) is closed


async def test_a_draining_process_ends_connections_from_the_next_answer_on():
    health = Health()
    application = DrainingConnections(Application(), health)
    assert not await closes(application)
    health.drain()
    assert await closes(application)
