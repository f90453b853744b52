"""Webhooks: the hosts that they may call, and the secret that they need."""

import pytest
from pydantic import SecretStr, ValidationError

from gateway.settings import CallbackSettings


def test_webhooks_need_a_secret():
    with pytest.raises(ValidationError, match="hosts need a secret"):
        CallbackSettings(hosts="ris.example.org")
    CallbackSettings(hosts=" , ")


@pytest.mark.parametrize("hosts", ['["127.0.0.1"]', "[ris]", "https://ris", "'ris'", "ris pacs"])
def test_what_is_no_list_of_hosts_is_refused(hosts: str):
    with pytest.raises(ValidationError, match="name or name:port with commas between"):
        CallbackSettings(hosts=hosts, secret=SecretStr("s" * 32))


def test_hosts_may_be_addresses():
    settings = CallbackSettings(hosts="10.0.0.9:443,[2001:db8::1]", secret=SecretStr("s" * 32))
    assert settings.host_names() == {"10.0.0.9:443", "[2001:db8::1]"}


def test_hosts_are_told_apart_in_lower_case():
    settings = CallbackSettings(hosts="RIS.example.org, pacs:8443,,", secret=SecretStr("s" * 32))
    assert settings.host_names() == {"ris.example.org", "pacs:8443"}
