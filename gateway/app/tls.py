"""The certificate that the gateway serves, followed when it is renewed."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import structlog
from cryptography import x509

from gateway.runtime.file_changes import changes

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.observability.metrics import Metrics

log = structlog.get_logger()


class CertificateError(Exception):
    """The certificate or its key cannot be used; the message says why."""


class ServedCertificate:
    """A TLS context for a server, with a certificate that may be renewed while it is in use.

    Parameters
    ----------
    certificate, key
        PEM files: the chain, the server's own certificate first, and its private key.

    Attributes
    ----------
    context : ssl.SSLContext
        TLS 1.2 and newer, with Python's choice of ciphers for servers. New connections see a
        renewed certificate; those that stand are left alone.

    Raises
    ------
    CertificateError
        The files cannot be read, or do not belong together.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self.context = self._loaded()

    async def follow(self, metrics: Metrics) -> None:
        """Serve what is in the files whenever they change; broken ones leave the last good one."""
        async for _ in changes([self._certificate, self._key]):
            try:
                self._loaded()  # a pair that does not fit would spoil the context in use
                self.context.load_cert_chain(self._certificate, self._key)
                expires_at = self._expires_at()
            except (CertificateError, OSError, ValueError) as error:
                log.warning("tls.certificate_broken", reason=str(error))
                continue
            metrics.access.keep_expiries("certificate", {"certificate": expires_at})
            log.info("tls.certificate_read")

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._certificate, self._key)
        except ssl.SSLError as error:
            raise CertificateError(
                f"the certificate and its key do not fit: {error.reason or 'they are no PEM'}"
            ) from error
        except OSError as error:
            raise CertificateError(error.strerror or "input/output error") from error
        return context

    def _expires_at(self) -> float:
        [own, *_] = x509.load_pem_x509_certificates(self._certificate.read_bytes())
        return own.not_valid_after_utc.timestamp()
