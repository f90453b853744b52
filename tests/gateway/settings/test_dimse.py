"""The listener: when it listens, and its TLS."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.settings import DimseSettings, RoutingSettings


def test_dicom_is_listened_for_where_a_port_is_set():
    assert not DimseSettings().is_on
    assert DimseSettings(port=11112).is_on
    assert not DimseSettings(port=11112, listen=False).is_on
    assert DimseSettings(listen=True).is_on


def test_authorities_of_senders_need_the_listeners_own_tls(tmp_path: Path):
    with pytest.raises(ValidationError, match="tls_client_ca needs tls_certificate"):
        DimseSettings(tls_client_ca=tmp_path / "ca.pem")


def test_the_routing_document_lies_in_one_place(tmp_path: Path):
    with pytest.raises(ValidationError, match="not both"):
        RoutingSettings(file=tmp_path / "routing.json", stored=True)
    assert RoutingSettings(stored=True).is_set
    assert RoutingSettings(file=tmp_path / "routing.json").is_set
    assert not RoutingSettings().is_set
