"""The gateway's own certificates: they fit their keys, and how long they are good."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from cryptography import x509

from gateway.doctor.findings import Check, FaultError, Finding, Outcome, Side
from gateway.doctor.handshake import check_end
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.schemas.routing import RoutingDocument
    from gateway.settings import Settings


def certificate_findings(settings: Settings, document: RoutingDocument | None) -> Iterator[Finding]:
    """Yield what each certificate of the settings and the routing document is like."""
    for line, certificate, key in _pairs(settings, document):
        try:
            until = _looked_at(line, certificate, key)
        except FaultError as error:
            yield error.of(Check.CERTIFICATES, str(certificate))
        else:
            yield Finding(Check.CERTIFICATES, str(certificate), Outcome.OK, f"good until {until}")


def _pairs(
    settings: Settings, document: RoutingDocument | None
) -> Iterator[tuple[str, Path, Path | None]]:
    """Yield the line that names a certificate, its file, and its key's; None of an authority."""
    for group, has in (("HTTP", settings.http), ("DIMSE", settings.dimse)):
        if has.tls_certificate is not None:
            line = f"{PREFIX}{group}{DELIMITER}TLS_CERTIFICATE"
            yield line, has.tls_certificate, has.tls_key
    if settings.dimse.tls_client_ca is not None:
        yield f"{PREFIX}DIMSE{DELIMITER}TLS_CLIENT_CA", settings.dimse.tls_client_ca, None
    for number, destination in enumerate(document.destinations if document else ()):
        tls, line = destination.tls, f"/destinations/{number}/tls"
        if tls is not None and tls.certificate is not None:
            yield f"{line}/certificate", tls.certificate, tls.key
        if tls is not None and tls.authorities is not None:
            yield f"{line}/authorities", tls.authorities, None


def _looked_at(line: str, certificate: Path, key: Path | None) -> str:
    """Return the day on which the first certificate of a file ends.

    Raises
    ------
    FaultError
    """
    try:
        found = x509.load_pem_x509_certificates(certificate.read_bytes())
        if key is not None:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        detail = "the certificate and its key do not belong together, or the key is no PEM"
        raise FaultError(detail, Side.GATEWAY, f"{line} and its key: one pair") from error
    except OSError as error:
        detail = f"it, or its key, cannot be read: {error.strerror}"
        raise FaultError(
            detail, Side.GATEWAY, f"{line} and its key: files that are there"
        ) from error
    except ValueError as error:
        detail = "it holds no PEM certificate"
        raise FaultError(detail, Side.GATEWAY, f"{line}: a PEM file") from error
    until = min(each.not_valid_after_utc for each in found[: 1 if key else None])
    check_end(until, "it", Side.GATEWAY, f"renew the file of {line}")
    return f"{until:%Y-%m-%d}"
