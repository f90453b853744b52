"""The gateway's own certificates."""

import datetime as dt
from pathlib import Path

import pytest
import trustme

from gateway.doctor.certificates import certificate_findings
from gateway.doctor.findings import Finding, Outcome
from gateway.schemas.routing import RoutingDocument
from gateway.settings import HttpSettings, Settings


def pair(folder: Path, name: str, *, days: float = 300) -> tuple[Path, Path]:
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    issued = trustme.CA().issue_cert("localhost", not_after=until)
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    return certificate, key


def found(certificate: Path, key: Path) -> Finding:
    http = HttpSettings(tls_certificate=certificate, tls_key=key)
    [finding] = certificate_findings(Settings(http=http), None)
    return finding


def test_a_pair_that_is_good(tmp_path: Path):
    assert found(*pair(tmp_path, "a")).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("days", "outcome", "detail"),
    [(-1, Outcome.FAULT, "expired on"), (5.5, Outcome.WARNING, "ends in 5 days")],
)
def test_the_end_of_a_certificate(tmp_path: Path, days: float, outcome: Outcome, detail: str):
    finding = found(*pair(tmp_path, "a", days=days))
    assert finding.outcome is outcome
    assert detail in finding.detail
    assert "RADSTREAM_HTTP__TLS_CERTIFICATE" in (finding.change or "")


def test_the_key_of_another_certificate(tmp_path: Path):
    certificate, _ = pair(tmp_path, "a")
    _, key = pair(tmp_path, "b")
    assert "do not belong together" in found(certificate, key).detail


def test_files_that_are_missing_or_hold_something_else(tmp_path: Path):
    certificate, key = pair(tmp_path, "a")
    assert "cannot be read" in found(tmp_path / "none.pem", key).detail
    certificate.write_text("no PEM")
    assert "no PEM certificate" in found(certificate, key).detail


def test_certificates_of_destinations_are_named_by_their_place(tmp_path: Path):
    certificate, key = pair(tmp_path, "a", days=-1)
    tls = {"certificate": str(certificate), "key": str(key), "authorities": str(certificate)}
    destination = {"name": "ris", "kind": "hl7", "host": "ris", "port": 2575, "tls": tls}
    document = RoutingDocument.model_validate(
        {"schema": "radstream.routing/1", "destinations": [destination]}
    )
    changes = [each.change for each in certificate_findings(Settings(), document)]
    assert changes == [
        "renew the file of /destinations/0/tls/certificate",
        "renew the file of /destinations/0/tls/authorities",
    ]
