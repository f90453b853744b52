"""Webhooks: the hosts that they may call, and the secret that they need."""

import pytest
from pydantic import SecretStr, ValidationError

from gateway.settings import CallbackSettings


def test_webhooks_need_a_secret():
    with pytest.raises(ValidationError, match="hosts need a secret"):
        CallbackSettings(hosts="ris.example.org")
    CallbackSettings(hosts=" , ")


def test_hosts_are_told_apart_in_lower_case():
    settings = CallbackSettings(hosts="RIS.example.org, pacs:8443,,", secret=SecretStr("s" * 32))
    assert settings.host_names() == {"ris.example.org", "pacs:8443"}
