"""Which URLs are taken."""

import pytest

from gateway.delivery.callbacks import check_url
from gateway.errors import InvalidCallbackError

HOSTS = frozenset({"pacs.example.org", "ris.example.org:8443"})


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
