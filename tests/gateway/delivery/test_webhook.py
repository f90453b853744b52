"""Notices to a webhook of the routing document: signed, repeated, refused."""

import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.delivery.transport import Rendering
from gateway.delivery.webhook import WebhookTransport
from gateway.delivery.webhook_client import signature
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_destinations import WebhookDestination
from tests.support.receiver import Receiver, receiving

SECRET = "s" * 32
NOTICE = Rendering(RenderingKind.NOTICE, "D-1", "application/json", b'{"delivery": "D-1"}')


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    async with receiving(tmp_path) as receiver:
        yield receiver


def to(receiver: Receiver, secret: str = SECRET, **changes: Any) -> WebhookTransport:
    """The way to the receiver."""
    file = receiver.ca_file.with_name("secret")
    file.write_text(secret)
    named = {
        "name": "orders",
        "kind": "webhook",
        "url": f"{receiver.url}/told?site=1",
        "secret_file": file,
        "tls": {"authorities": receiver.ca_file},
    }
    return WebhookTransport(WebhookDestination.model_validate(named | changes))


def soon() -> Deadline:
    return Deadline.after(30)


async def test_a_notice_is_signed_by_the_secret_of_its_destination(receiver: Receiver):
    await to(receiver).send(NOTICE, soon())
    [(path, headers, body)] = receiver.came
    assert (path, body, headers["radstream-delivery"]) == ("/told", NOTICE.data, "D-1")
    at = int(headers["radstream-signature"].split(",")[0].removeprefix("t="))
    assert headers["radstream-signature"] == signature(SECRET, at, body)
    assert at <= time.time()


async def test_a_new_secret_signs_the_next_notice(receiver: Receiver):
    way = to(receiver)
    await way.send(NOTICE, soon())
    receiver.ca_file.with_name("secret").write_text("t" * 32)
    await way.send(NOTICE, soon())
    _, headers, body = receiver.came[1]
    at = int(headers["radstream-signature"].split(",")[0].removeprefix("t="))
    assert headers["radstream-signature"] == signature("t" * 32, at, body)


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
async def test_other_answers_are_tried_again(receiver: Receiver, status: int):
    receiver.statuses = [status]
    with pytest.raises(DeliveryUnansweredError) as caught:
        await to(receiver).send(NOTICE, soon())
    assert (caught.value.is_sent, caught.value.reason) == (True, f"it answered {status}")
    assert len(receiver.came) == 1


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
async def test_what_it_does_not_understand_is_refused_for_good(receiver: Receiver, status: int):
    receiver.statuses = [status]
    with pytest.raises(DeliveryRefusedError):
        await to(receiver).send(NOTICE, soon())


async def test_what_no_connection_took_was_not_sent(receiver: Receiver):
    with pytest.raises(DeliveryUnansweredError) as caught:
        await to(receiver, tls={}).send(NOTICE, soon())
    assert not caught.value.is_sent
    assert receiver.came == []


async def test_silence_may_have_been_told(receiver: Receiver):
    # Takes connections into its backlog, and never speaks.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://localhost:{silent.getsockname()[1]}"
        with pytest.raises(DeliveryUnansweredError) as caught:
            await to(receiver, url=url).send(NOTICE, Deadline.after(0.2))
    assert caught.value.is_sent


async def test_a_clouds_credentials_are_never_asked_for(receiver: Receiver):
    with pytest.raises(DeliveryRefusedError):
        await to(receiver, url="https://169.254.169.254/latest").send(NOTICE, soon())


@pytest.mark.parametrize("secret", ["", "short"])
async def test_a_weak_secret_signs_nothing(receiver: Receiver, secret: str):
    with pytest.raises(DeliveryUnansweredError):
        await to(receiver, secret).send(NOTICE, soon())
    assert receiver.came == []


@pytest.mark.parametrize("status", [204, 404, 405])
async def test_it_is_asked_without_being_told_anything(receiver: Receiver, status: int):
    receiver.statuses = [status]
    assert str(status) in await to(receiver).check(soon())
    [(_, _, body)] = receiver.came
    assert body == b""


@pytest.mark.parametrize("status", [401, 403, 500, 503])
async def test_a_check_tells_of_a_refusal(receiver: Receiver, status: int):
    receiver.statuses = [status]
    with pytest.raises(DeliveryRefusedError, match=str(status)):
        await to(receiver).check(soon())


async def test_it_cannot_be_asked_for_what_it_was_told(receiver: Receiver):
    assert await to(receiver).is_held(NOTICE, soon()) is None
    assert receiver.came == []
