"""Listeners: addresses, never names, and TLS that is whole."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.settings import DimseSettings, HttpSettings

LISTENERS = (HttpSettings, DimseSettings)


@pytest.mark.parametrize("settings", LISTENERS)
@pytest.mark.parametrize("host", ["example.org", ""])
def test_listens_on_addresses_not_on_names(settings: type[HttpSettings | DimseSettings], host: str):
    with pytest.raises(ValidationError, match="IPv4 or IPv6 address"):
        settings(host=host)
    assert settings(host="localhost").is_loopback


@pytest.mark.parametrize("settings", LISTENERS)
@pytest.mark.parametrize("half", ["tls_certificate", "tls_key"])
def test_tls_is_whole(settings: type[HttpSettings | DimseSettings], half: str, tmp_path: Path):
    with pytest.raises(ValidationError, match="needed together"):
        settings(**{half: tmp_path / "x"})
