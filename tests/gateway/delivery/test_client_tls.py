"""Contexts of connections to destinations."""

import ssl
from pathlib import Path

import pytest
import trustme

from gateway.delivery.client_tls import client_context
from gateway.errors import DeliveryUnansweredError
from gateway.schemas.routing_destinations import DestinationTls


def test_hosts_are_checked_unless_certificates_name_applications():
    assert client_context(DestinationTls()).check_hostname
    context = client_context(DestinationTls(), check_host=False)
    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_authorities_of_a_destination_are_trusted_alone(tmp_path: Path):
    path = tmp_path / "authorities.pem"
    trustme.CA().cert_pem.write_to_path(path)
    assert client_context(DestinationTls(authorities=path)).cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize("text", [None, "", "no PEM"])
def test_files_that_cannot_be_used_may_be_a_moment_later(tmp_path: Path, text: str | None):
    path = tmp_path / "authorities.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DeliveryUnansweredError):
        client_context(DestinationTls(authorities=path))
