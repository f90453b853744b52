"""Addresses that are called, what is not done for them, and what a receiver can check."""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from gateway.delivery.webhook_client import Webhook, is_fit, signature, webhooks
from gateway.errors import CallbackUnansweredError, InvalidCallbackError
from tests.support.receiver import Receiver, receiving

DOCUMENTATION = Path(__file__).parents[3] / "docs/integrate.md"
NEVER = [
    "169.254.169.254",  # where clouds keep credentials
    "fd00:ec2::254",  # likewise
    "fe80::1",
    "fec0::1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b:1::a9fe:a9fe",  # NAT64 of one's own
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",  # noqa: S104
    "::",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",  # the same, behind NAT64
    "2002:a9fe:a9fe::1",  # and 6to4
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
]
PRIVATE = [
    "127.0.0.1",
    "::1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "fc00::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
]
PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"]


@pytest.mark.parametrize("address", [*NEVER, *PRIVATE, *PUBLIC])
def test_which_addresses_are_fit(address: str):
    assert is_fit(ip_address(address), private=False) is (address in PUBLIC)
    assert is_fit(ip_address(address), private=True) is (address not in NEVER)


def webhook(
    receiver: Receiver | None = None, **changes: Any
) -> AbstractAsyncContextManager[Webhook]:
    options: dict[str, Any] = {"private_addresses": True, "timeout_s": 10.0}
    context = ssl.create_default_context(cafile=receiver.ca_file if receiver else None)
    return webhooks(context=context, **options | changes)


@contextmanager
def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> Iterator[list[str]]:
    """DNS answers with these addresses in turn, one a look-up, and every look-up is noted."""
    asked: list[str] = []
    answers = iter(addresses)

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    with monkeypatch.context() as patch:
        patch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        yield asked


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    async with receiving(tmp_path) as receiver:
        yield receiver


async def test_body_and_headers_arrive_and_the_answer_is_not_read(receiver: Receiver):
    receiver.statuses, receiver.body = [200], b"x" * 2**20
    async with webhook(receiver) as hook:
        await hook.post(f"{receiver.url}/a?b=c", b"body", {"RadStream-Delivery": "1"})
    [(path, headers, body)] = receiver.came
    assert (path, body, headers["radstream-delivery"]) == ("/a", b"body", "1")
    assert headers["host"] == receiver.url.removeprefix("https://")


async def test_name_is_looked_up_once_and_the_certificate_is_held_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with receiving(tmp_path, "pacs.example.org") as receiver, webhook(receiver) as hook:
        url = receiver.url.replace("localhost", "pacs.example.org")
        with resolving(monkeypatch, "127.0.0.1", "169.254.169.254") as asked:
            await hook.post(url, b"", {})
        assert (asked, len(receiver.came)) == (["pacs.example.org"], 1)
        with resolving(monkeypatch, "127.0.0.1"), pytest.raises(CallbackUnansweredError):
            await hook.post(url.replace("pacs", "other"), b"", {})
        assert len(receiver.came) == 1


async def test_name_that_leads_inside_is_not_called(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    async with webhook(receiver, private_addresses=False) as hook:
        with pytest.raises(InvalidCallbackError):
            await hook.post(receiver.url, b"", {})
    async with webhook(receiver) as hook:
        with resolving(monkeypatch, "169.254.169.254"), pytest.raises(InvalidCallbackError):
            await hook.post(receiver.url, b"", {})
    assert receiver.came == []


@pytest.mark.parametrize("status", [301, 307, 400, 404, 500, 503])
async def test_other_answers_are_no_success_and_lead_nowhere(receiver: Receiver, status: int):
    receiver.statuses = [status]
    async with webhook(receiver) as hook:
        with pytest.raises(CallbackUnansweredError) as caught:
            await hook.post(receiver.url, b"", {})
    assert (caught.value.reason, len(receiver.came)) == (f"its status was {status}", 1)


async def test_authority_that_is_not_trusted_is_no_success(receiver: Receiver):
    async with webhook() as hook:
        with pytest.raises(CallbackUnansweredError):
            await hook.post(receiver.url, b"", {})
    assert receiver.came == []


async def test_silence_ends():
    # Takes connections into its backlog, and never speaks.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with webhook(timeout_s=0.2) as hook:
            with pytest.raises(CallbackUnansweredError):
                await hook.post(f"https://localhost:{silent.getsockname()[1]}", b"", {})


@pytest.mark.parametrize("address", ["169.254.169.254", "[::ffff:a9fe:a9fe]", "[fe80::1]"])
async def test_address_in_the_url_itself_is_checked_too(address: str):
    async with webhook() as hook:
        with pytest.raises(InvalidCallbackError):
            await hook.post(f"https://{address}/latest/meta-data/", b"", {})


def documented_check() -> Any:
    """What the documentation tells receivers to run."""
    [snippet] = re.findall(
        r"```python\n(import hashlib.*?)```", DOCUMENTATION.read_text(), re.DOTALL
    )
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102 - our own page
    return names["is_genuine"]


def test_documented_check_takes_what_is_genuine_and_nothing_else():
    is_genuine = documented_check()
    now, secret, body = int(time.time()), "s" * 32, b'{"study_id": "S1"}'
    header = signature(secret, now, body)
    assert re.fullmatch(r"t=\d+,v1=[0-9a-f]{64}", header)
    assert is_genuine(body, header, secret)
    assert not is_genuine(body + b" ", header, secret)
    assert not is_genuine(body, header, "t" * 32)
    assert not is_genuine(body, header.replace(f"t={now}", f"t={now + 1}"), secret)
    assert not is_genuine(body, signature(secret, now - 301, body), secret)


def test_signature_is_as_another_program_makes_it():
    # printf '1.x' | openssl dgst -sha256 -hmac key
    expected = "t=1,v1=fc4913c41a7bf793267e2a384f3261c9436ec2cd097bd745e7b0d99113f510ec"
    assert signature("key", 1, b"x") == expected
