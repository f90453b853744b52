"""Which URLs are taken, and what a receiver can check."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.delivery.webhooks import check_url, signature
from gateway.errors import InvalidCallbackError

HOSTS = frozenset({"pacs.example.org", "ris.example.org:8443"})
DOCUMENTATION = Path(__file__).parents[3] / "docs/integrate.md"


@pytest.mark.parametrize(
    "url",
    [
        "https://pacs.example.org",
        "https://pacs.example.org/done?site=1",
        "https://pacs.example.org:443/done",
        "https://PACS.example.org/done",
        "https://ris.example.org:8443/",
    ],
)
def test_url_of_an_allowed_host_is_taken(url: str):
    check_url(url, HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pacs.example.org",
        "http://pacs.example.org/",
        "ftp://pacs.example.org/",
        "file:///etc/passwd",
        "https://",
        "https://evil.org/",
        "https://evil.org/?pacs.example.org",
        "https://pacs.example.org.evil.org/",
        "https://evilpacs.example.org/",
        "https://pacs.example.org:8443/",
        "https://ris.example.org/",
        "https://user:secret@pacs.example.org/",
        "https://pacs.example.org@evil.org/",
        "https://evil.org\\@pacs.example.org/",
        "https://pacs.example.org/#here",
        "https://pacs.example.org/a b",
        "https://pacs.example.org/\r\nHost: evil.org",
        "https://pacs.example.org/é",
        "https://pacs.example.org:99999/",
        "https://pacs.example.org:x/",
        "https://[::1/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://pacs.example.org/" + "a" * 2048,
    ],
)
def test_any_other_url_is_refused_without_being_repeated(url: str):
    with pytest.raises(InvalidCallbackError) as caught:
        check_url(url, HOSTS)
    assert "evil" not in caught.value.reason
    assert "secret" not in caught.value.reason


def test_without_hosts_nothing_is_taken():
    with pytest.raises(InvalidCallbackError):
        check_url("https://pacs.example.org/", frozenset())


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
