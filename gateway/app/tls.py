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
    client_authorities
        PEM file of those that certify clients, which then must show a certificate.
    name
        Of the certificate in the metrics.

    Attributes
    ----------
    context : ssl.SSLContext
        TLS 1.2 and newer, with Python's choice of ciphers for servers. New connections see a
        renewed certificate; those that stand are left alone. With client authorities it is another
        context after each renewal, since a context forgets no authority.

    Raises
    ------
    CertificateError
        The files cannot be read, or do not belong together.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        client_authorities: Path | None = None,
        name: str = "certificate",
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._client_authorities = client_authorities
        self._name = name
        self.context = self._loaded()

    async def follow(self, metrics: Metrics) -> None:
        """Serve what is in the files whenever they change; broken ones leave the last good one."""
        files = [self._certificate, self._key, self._client_authorities]
        async for _ in changes(file for file in files if file is not None):
            try:
                fresh = self._loaded()  # a pair that does not fit would spoil the context in use
                if self._client_authorities is None:
                    self.context.load_cert_chain(self._certificate, self._key)
                else:
                    self.context = fresh
                expires_at = self._expires_at()
            except (CertificateError, OSError, ValueError) as error:
                log.warning("tls.certificate_broken", reason=str(error))
                continue
            metrics.access.keep_expiries(self._name, {self._name: expires_at})
            log.info("tls.certificate_read", certificate=self._name)

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        files = f"the certificate {self._certificate} and its key {self._key}"
        try:
            context.load_cert_chain(self._certificate, self._key)
        except ssl.SSLError as error:
            raise CertificateError(
                f"{files} do not fit: {error.reason or 'they are no PEM'}"
            ) from error
        except OSError as error:
            reason = error.strerror or "input/output error"
            raise CertificateError(f"{files} cannot be read: {reason}") from error
        if self._client_authorities is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            self._load_authorities(context, self._client_authorities)
        return context

    @staticmethod
    def _load_authorities(context: ssl.SSLContext, authorities: Path) -> None:
        try:
            context.load_verify_locations(authorities)
        except ssl.SSLError as error:
            raise CertificateError(
                f"the client authorities {authorities} are no PEM certificates"
            ) from error
        except OSError as error:
            reason = error.strerror or "input/output error"
            raise CertificateError(
                f"the client authorities {authorities} cannot be read: {reason}"
            ) from error

    def _expires_at(self) -> float:
        [own, *_] = x509.load_pem_x509_certificates(self._certificate.read_bytes())
        return own.not_valid_after_utc.timestamp()
