"""Bodies received past the parser, over real connections, on both event loops."""

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
import uvloop
from fastapi import Request
from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission
from gateway.errors import CallerGoneError, RequestTooSlowError
from gateway.http.protocol.pipelining import serving
from gateway.http.protocol.reception import LEAST_BYTES
from gateway.http.requests.body import read_body
from gateway.observability.metrics import Metrics
from gateway.runtime.deadline import Deadline
from gateway.settings import HttpSettings
from tests.support.connections import Connection, head

BODY = random.Random(15).randbytes(1_400_003)  # noqa: S311 - no secret
PATIENT = HttpSettings(port=0)
LOOPS = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)

Scope = MutableMapping[str, Any]
Loop = Callable[[], asyncio.AbstractEventLoop]
Scenario = Callable[["Served", Connection], Awaitable[None]]


class Served:
    """An application that reads bodies, and says what it read."""

    def __init__(self, settings: HttpSettings) -> None:
        self.pieces = 0
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        self._settings = settings
        self._admission = Admission(
            bytes_limit=10**8,
            studies_limit=2,
            pictures_limit=1,
            metrics=Metrics(CollectorRegistry()),
        )

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        async def counted() -> Any:
            self.pieces += 1
            return await receive()

        if scope["path"] == "/unwanted":
            await self._answer(send, 503, b"no")
            return
        if scope["path"] == "/fails":
            start = {"type": "http.response.start", "status": 200, "headers": []}
            await send(start | {"headers": [(b"content-length", b"10")]})
            raise ValueError
        status, answer = 200, b""
        with self._admission.slot("someone") as slot:
            try:
                body = await read_body(
                    Request(scope, counted),
                    10**7,
                    slot=slot,
                    deadline=Deadline.after(60),
                    pace=self._settings,
                )
                del body[:1]  # nobody holds it any more
                answer = hashlib.sha256(BODY[:1] + body).hexdigest().encode()
            except (CallerGoneError, RequestTooSlowError) as error:
                status, answer = 408, b"no"
                self.errors.put_nowait(error)
        await self._answer(send, status, answer)

    @staticmethod
    async def _answer(send: Any, status: int, answer: bytes) -> None:
        fields = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": answer})


@asynccontextmanager
async def served(settings: HttpSettings) -> AsyncIterator[tuple[Served, Connection]]:
    """The application behind a server, and a connection to it."""
    app = Served(settings)
    protocol = serving(settings, on_refused=lambda: None, on_unread=lambda: None)
    config = uvicorn.Config(
        app, http=protocol, ws="none", lifespan="off", log_config=None, timeout_keep_alive=1
    )
    config.load()
    state = uvicorn.Server(config).server_state
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield app, Connection(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        while state.connections:  # noqa: ASYNC110 - nobody tells of the last
            await asyncio.sleep(0.001)
        server.close()
        await server.wait_closed()


def run(loop: Loop, scenario: Scenario, settings: HttpSettings = PATIENT) -> None:
    async def main() -> None:
        async with served(settings) as (app, connection):
            await scenario(app, connection)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main())


def digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


@LOOPS
def test_a_long_body_comes_whole_and_past_the_parser(loop: Loop):
    async def scenario(app: Served, connection: Connection) -> None:
        await connection.send(head(f"Content-Length: {len(BODY)}"))
        for at in range(0, len(BODY), 50_000):
            await connection.send(BODY[at : at + 50_000])
        assert (await connection.answer()).endswith(digest(BODY))
        assert app.pieces == 0

    run(loop, scenario)


@LOOPS
@pytest.mark.parametrize("size", [1, LEAST_BYTES - 1, LEAST_BYTES, LEAST_BYTES + 1, 300_000])
def test_requests_follow_each_other_on_one_connection(loop: Loop, size: int):
    async def scenario(_app: Served, connection: Connection) -> None:
        body = BODY[:size]
        one = head(f"Content-Length: {size}") + body
        await connection.send(one)
        assert (await connection.answer()).endswith(digest(body))
        await connection.send(one * 3)  # sent before the answers
        for _ in range(3):
            assert (await connection.answer()).endswith(digest(body))

    run(loop, scenario)


@LOOPS
def test_a_caller_that_waits_for_leave_gets_it(loop: Loop):
    async def scenario(_app: Served, connection: Connection) -> None:
        await connection.send(head(f"Content-Length: {len(BODY)}", "Expect: 100-continue"))
        assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await connection.send(BODY)
        assert (await connection.answer()).endswith(digest(BODY))

    run(loop, scenario)


@LOOPS
def test_a_body_whose_caller_goes_is_given_up(loop: Loop):
    async def scenario(app: Served, connection: Connection) -> None:
        await connection.send(head(f"Content-Length: {len(BODY)}") + BODY[:700_000])
        connection.writer.close()
        assert isinstance(await app.errors.get(), CallerGoneError)

    run(loop, scenario)


@LOOPS
def test_a_body_that_stops_coming_is_given_up_and_its_rest_read_past(loop: Loop):
    async def scenario(app: Served, connection: Connection) -> None:
        one = head(f"Content-Length: {len(BODY)}") + BODY
        await connection.send(one[:700_000])
        assert isinstance(await app.errors.get(), RequestTooSlowError)
        assert (await connection.answer()).startswith(b"HTTP/1.1 408 ")
        await connection.send(one[700_000:] + head("Content-Length: 3") + BODY[:3])
        assert (await connection.answer()).endswith(digest(BODY[:3]))

    run(loop, scenario, HttpSettings(port=0, body_grace_s=0.2, body_bytes_per_s=2**30))


@LOOPS
def test_a_body_that_comes_slowly_but_fast_enough_is_waited_for(loop: Loop):
    async def scenario(_app: Served, connection: Connection) -> None:
        await connection.send(head(f"Content-Length: {len(BODY)}") + BODY[:100_000])
        for at in range(100_000, len(BODY), 100_000):
            await connection.send(BODY[at : at + 100_000])
            await asyncio.sleep(0.1)  # the grace alone would be over
        assert (await connection.answer()).endswith(digest(BODY))

    run(loop, scenario, HttpSettings(port=0, body_grace_s=1, body_bytes_per_s=20_000))


@LOOPS
@pytest.mark.parametrize("size", [1000, LEAST_BYTES + 1000, 300_000])
@pytest.mark.parametrize("sent", [10, 700])
def test_time_in_which_the_loop_was_held_is_not_the_senders(loop: Loop, size: int, sent: int):
    async def scenario(_app: Served, connection: Connection) -> None:
        body = BODY[:size]
        one = head(f"Content-Length: {size}") + body
        await connection.send(one[:sent])
        await asyncio.sleep(0.1)  # until it is read
        connection.writer.write(one[sent:])
        time.sleep(0.6)  # noqa: ASYNC251 - as a machine that is busy with others does
        assert (await connection.answer()).endswith(digest(body))

    strict = HttpSettings(port=0, head_timeout_s=0.4, body_grace_s=0.4, body_bytes_per_s=2**30)
    run(loop, scenario, strict)


async def hold_until_just_over() -> None:
    """Hold the loop until a time of 0.4 s is over, for which it is then hardly late."""
    await asyncio.sleep(0.1)  # until what was sent is read
    time.sleep(0.33)  # noqa: ASYNC251 - as a machine that is busy with others does
    for _ in range(10):
        await asyncio.sleep(0)


@LOOPS
@pytest.mark.parametrize("size", [1000, LEAST_BYTES + 1000, 300_000])
def test_a_loop_that_was_held_until_the_time_was_over_waits_for_the_sender(loop: Loop, size: int):
    async def scenario(_app: Served, connection: Connection) -> None:
        body = BODY[:size]
        one = head(f"Content-Length: {size}") + body
        await connection.send(one[:200])
        await hold_until_just_over()
        await connection.send(one[200:])  # by a sender that was held up too
        assert (await connection.answer()).endswith(digest(body))

    strict = HttpSettings(port=0, head_timeout_s=0.4, body_grace_s=0.4, body_bytes_per_s=2**30)
    run(loop, scenario, strict)


@LOOPS
@pytest.mark.parametrize("sent", [0, 10])
def test_a_loop_that_was_held_waits_for_a_head(loop: Loop, sent: int):
    async def scenario(_app: Served, connection: Connection) -> None:
        one = head("Content-Length: 3") + BODY[:3]
        await connection.send(one[:sent])
        await hold_until_just_over()
        await connection.send(one[sent:])
        assert (await connection.answer()).endswith(digest(BODY[:3]))

    run(loop, scenario, HttpSettings(port=0, head_timeout_s=0.4))


@LOOPS
@pytest.mark.parametrize("size", [1000, 300_000])
def test_a_body_that_trickles_is_given_up(loop: Loop, size: int):
    async def scenario(app: Served, connection: Connection) -> None:
        await connection.send(head(f"Content-Length: {size}") + b"x")
        while app.errors.empty():
            await connection.send(b"x")
            await asyncio.sleep(0.01)
        assert isinstance(await app.errors.get(), RequestTooSlowError)
        assert (await connection.answer()).startswith(b"HTTP/1.1 408 ")

    run(loop, scenario, HttpSettings(port=0, body_grace_s=0.2, body_bytes_per_s=2**30))


UNWANTED = "POST /unwanted HTTP/1.1"


@LOOPS
@pytest.mark.parametrize("size", [1, LEAST_BYTES - 1, LEAST_BYTES, len(BODY)])
@pytest.mark.parametrize("pause_s", [0, 0.01])
def test_a_body_that_nobody_wants_is_passed_over(loop: Loop, size: int, pause_s: float):
    async def scenario(_app: Served, connection: Connection) -> None:
        for _ in range(2):
            await connection.send(head(f"Content-Length: {size}", line=UNWANTED))
            for at in range(0, size, 200_000):
                await connection.send(BODY[at : min(size, at + 200_000)])
                await asyncio.sleep(pause_s)
            assert (await connection.answer()).startswith(b"HTTP/1.1 503 ")
        await connection.send(head(f"Content-Length: {len(BODY)}") + BODY)
        assert (await connection.answer()).endswith(digest(BODY))

    run(loop, scenario)


@LOOPS
def test_a_request_right_behind_a_body_that_nobody_wants_is_answered(loop: Loop):
    async def scenario(_app: Served, connection: Connection) -> None:
        unwanted = head(f"Content-Length: {len(BODY)}", line=UNWANTED) + BODY
        await connection.send(unwanted * 2 + head("Content-Length: 3") + BODY[:3])
        for _ in range(2):
            assert (await connection.answer()).startswith(b"HTTP/1.1 503 ")
        assert (await connection.answer()).endswith(digest(BODY[:3]))

    run(loop, scenario)


@LOOPS
def test_a_connection_is_closed_behind_a_body_that_nobody_wants_if_that_was_asked_for(loop: Loop):
    async def scenario(_app: Served, connection: Connection) -> None:
        fields = f"Content-Length: {len(BODY)}", "Connection: close"
        await connection.send(head(*fields, line=UNWANTED) + BODY[:100_000])
        assert (await connection.answer()).startswith(b"HTTP/1.1 503 ")
        await connection.send(BODY[100_000:])  # else the close would be a reset
        assert await connection.rest() == b""

    run(loop, scenario)


@LOOPS
def test_a_connection_that_is_silent_behind_a_body_that_nobody_wants_is_closed(loop: Loop):
    async def scenario(_app: Served, connection: Connection) -> None:
        await connection.send(head(f"Content-Length: {len(BODY)}", line=UNWANTED) + BODY)
        assert (await connection.answer()).startswith(b"HTTP/1.1 503 ")
        assert await connection.rest() == b""

    run(loop, scenario)


@LOOPS
@pytest.mark.parametrize("sent", [10, len(BODY)])
def test_an_answer_that_breaks_off_closes_the_connection_whatever_has_come(loop: Loop, sent: int):
    async def scenario(_app: Served, connection: Connection) -> None:
        one = head(f"Content-Length: {len(BODY)}", line="POST /fails HTTP/1.1")
        connection.writer.write(one + BODY[:sent])
        with suppress(ConnectionError):  # what was not read makes a reset of it
            assert (await connection.rest())[-4:] == b"\r\n\r\n"

    run(loop, scenario)


@LOOPS
@pytest.mark.parametrize("size", [30_000, 100_000, len(BODY)])
def test_a_head_that_is_refused_is_answered_however_long_its_body_is(loop: Loop, size: int):
    async def scenario(_app: Served, connection: Connection) -> None:
        fields = "Host: other", f"Content-Length: {size}"
        connection.writer.write(head(*fields) + BODY[:size] + head("Content-Length: 0"))
        answer = await connection.rest()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1

    run(loop, scenario)
