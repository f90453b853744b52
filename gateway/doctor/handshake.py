"""Connections and TLS handshakes with a peer, and what their failures mean."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.doctor.findings import FaultError, Outcome, Side
from gateway.runtime.peer_connection import peer_certificate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography import x509

CONNECT_S = 5.0
# A renewal that has not come by then is late: public authorities renew 30 days ahead.
SOON = dt.timedelta(days=21)

# X509_V_ERR_… of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _HOST_MISMATCH = 9, 10, 62
_SPEAKS_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})


@dataclass(frozen=True, slots=True)
class Address:
    """A peer's address, and the lines of the configuration that it comes from.

    Parameters
    ----------
    host, port
        Of the peer.
    host_line, authorities_line
        The lines that name the address, and the authorities that its certificate is held to.
    """

    host: str
    port: int
    host_line: str
    authorities_line: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def connect(address: Address) -> None:
    """Open a connection and close it.

    Raises
    ------
    FaultError
        None comes about; it says whether the name, the port or the way is wrong.
    """
    await _opened(address, None)


async def shake_hands(address: Address, context: ssl.SSLContext) -> dt.datetime | None:
    """Open a connection with TLS and close it; return when the peer's certificate ends.

    Returns
    -------
    datetime.datetime or None
        None where the peer's certificate is not asked for.

    Raises
    ------
    FaultError
    """
    certificate = await _opened(address, context)
    if certificate is None:
        return None
    until = certificate.not_valid_after_utc
    check_end(until, f"the certificate of {address}", Side.PEER, f"renew it on {address.host}")
    return until


def check_end(until: dt.datetime, what: str, side: Side, change: str) -> None:
    """Check that a certificate is good for some weeks.

    Raises
    ------
    FaultError
    """
    left = until - dt.datetime.now(dt.UTC)
    if left <= dt.timedelta():
        raise FaultError(f"{what} expired on {until:%Y-%m-%d %H:%M} UTC", side, change)
    if left < SOON:
        detail = f"{what} ends in {left.days} days, on {until:%Y-%m-%d %H:%M} UTC"
        raise FaultError(detail, side, change, Outcome.WARNING)


async def _opened(address: Address, context: ssl.SSLContext | None) -> x509.Certificate | None:
    try:
        return await peer_certificate(address.host, address.port, context, CONNECT_S)
    except ssl.SSLError as error:
        raise _tls_fault(address, error) from error
    except TimeoutError as error:
        raise FaultError(
            f"{address} does not answer within {CONNECT_S:g} s",
            Side.EITHER,
            f"open the firewall between here and {address}, or mend {address.host_line}",
        ) from error
    except OSError as error:
        raise _connection_fault(address, error) from error


def _connection_fault(address: Address, error: OSError) -> FaultError:
    if isinstance(error, socket.gaierror):
        detail = f"the name {address.host} is not known here: {error.strerror}"
        return FaultError(detail, Side.GATEWAY, f"mend {address.host_line}, or the name server")
    if isinstance(error, ConnectionRefusedError) or "refused" in str(error).lower():
        return FaultError(
            f"nothing listens on {address}",
            Side.EITHER,
            f"mend {address.host_line}, or start the service there",
        )
    if isinstance(error, ConnectionError):
        detail = f"{address} closes the connection at once"
        return FaultError(detail, Side.PEER, f"allow this address on {address.host}")
    reason = error.strerror or type(error).__name__
    return FaultError(
        f"no connection to {address}: {reason}", Side.EITHER, f"mend {address.host_line}"
    )


def _tls_fault(address: Address, error: ssl.SSLError) -> FaultError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_fault(address, error)
    reason = error.reason or ""
    if reason in _SPEAKS_NO_TLS:
        return FaultError(
            f"{address} speaks no TLS on this port",
            Side.EITHER,
            f"mend {address.host_line}, or switch TLS on there",
        )
    return FaultError(
        f"{address} ends the TLS handshake: {reason.lower().replace('_', ' ') or 'no reason'}",
        Side.EITHER,
        f"compare protocols and client certificates of {address.host} with {address.host_line}",
    )


def _certificate_fault(address: Address, error: ssl.SSLCertVerificationError) -> FaultError:
    what = f"the certificate of {address}"
    renew: Mapping[int, str] = {_EXPIRED: "has expired", _NOT_YET_VALID: "is not valid yet"}
    if error.verify_code in renew:
        detail = f"{what} {renew[error.verify_code]}"
        return FaultError(detail, Side.PEER, f"renew the certificate on {address.host}")
    if error.verify_code == _HOST_MISMATCH:
        return FaultError(
            f"{what} is not for this name",
            Side.EITHER,
            f"mend {address.host_line} to a name in the certificate, or renew it on {address.host}",
        )
    return FaultError(
        f"{what} is not signed by an authority that is trusted here: {error.verify_message}",
        Side.GATEWAY,
        f"put the certificate of its authority into {address.authorities_line}",
    )
