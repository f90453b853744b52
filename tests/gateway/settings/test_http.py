"""The HTTP server: its own address, and those of proxies."""

import pytest
from pydantic import ValidationError

from gateway.settings import HttpSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_listens_on_loopback(host: str):
    assert HttpSettings(host=host).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4"])  # noqa: S104 - no loopback
def test_any_other_address_is_not_loopback(host: str):
    assert not HttpSettings(host=host).is_loopback


def test_proxies_are_addresses_or_networks():
    assert HttpSettings(trusted_proxies=("10.0.0.0/8", "::1")).trusted_proxies
    with pytest.raises(ValidationError, match="trusted_proxies"):
        HttpSettings(trusted_proxies=("proxy.example.org",))
