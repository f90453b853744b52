"""Settings that every listener has: its address, its port and its TLS."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field


def _address(host: str) -> str:
    if host != "localhost":
        ip_address(host)
    return host


Address = Annotated[str, AfterValidator(_address)]
Port = Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")]
TlsKey = Annotated[Path | None, Field(description="File of the certificate's PEM private key.")]


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """Check that a certificate and its key come together.

    Raises
    ------
    ValueError
    """
    if (certificate is None) != (key is None):
        raise ValueError("tls_certificate and tls_key are needed together")
