"""Loopback is known by name and by every address of it, and by nothing that looks like it."""

import pytest

from gateway.runtime.addresses import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_is_loopback(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", [None, "", "127.0.0.1.example.org", "::", "10.0.0.1"])
def test_anything_else_is_not(host: str | None):
    assert not is_loopback(host)
