"""The gateway's own listeners, called from outside as anybody else would."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Any

from gateway.doctor.dicom_peers import CALLING_TITLE_UNKNOWN, DicomPeer, RejectedError, echo
from gateway.doctor.findings import Check, FaultError, Finding, Outcome, Side
from gateway.doctor.handshake import Address, connect, shake_hands
from gateway.doctor.web_peers import address_of, get
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from gateway.doctor.clocks import Clocks
    from gateway.schemas.routing import RoutingDocument
    from gateway.settings import DimseSettings

_DIMSE = f"{PREFIX}DIMSE{DELIMITER}"
_OK = 200
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not listened on


async def http_finding(url: str, clocks: Clocks) -> Finding:
    """Return whether the gateway answers at an address, and is ready."""
    line = f"--url, or {PREFIX}HTTP{DELIMITER}HOST and {PREFIX}HTTP{DELIMITER}PORT"
    try:
        address = address_of(url, line, "")
        context = _unverified() if url.startswith("https://") else None
        answer = await get(f"{url.rstrip('/')}/readyz", address, clocks, context=context)
        _check_ready(answer.status, answer.body, line)
    except FaultError as error:
        return error.of(Check.LISTENER, url)
    return Finding(Check.LISTENER, url, Outcome.OK, "answers and is ready")


def _check_ready(status: int, body: bytes, line: str) -> None:
    try:
        document: Any = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        detail = f"what answers there (status {status}) is no RadStream"
        raise FaultError(detail, Side.GATEWAY, line)
    if status != _OK:
        said = document.get("detail") or document.get("title") or status
        raise FaultError(
            f"it answers and is not ready: {said}", Side.GATEWAY, "see the other lines"
        )


async def dicom_finding(settings: DimseSettings, document: RoutingDocument | None) -> Finding:
    """Return whether the DICOM listener answers a C-ECHO of this machine."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    target = f"{settings.ae_title} at {host}:{settings.port}"
    if settings.listen is False or settings.port == 0:
        return Finding(
            Check.DICOM_LISTENER, target, Outcome.SKIPPED, "it is off, or on a free port"
        )
    address = Address(host, settings.port, f"{_DIMSE}HOST and {_DIMSE}PORT", "")
    calling = next((each.ae_title for each in document.dicom_senders), None) if document else None
    try:
        context = await asyncio.to_thread(_own_context, settings)
        await (connect(address) if context is None else shake_hands(address, context))
        peer = DicomPeer(
            address, settings.ae_title, calling or "ANYONE", f"{_DIMSE}AE_TITLE", context
        )
        await asyncio.to_thread(echo, peer)
    except RejectedError as error:
        if error.answer != CALLING_TITLE_UNKNOWN:
            return error.of(Check.DICOM_LISTENER, target)
        detail = "answers, and takes no senders but those of the routing document"
        return Finding(Check.DICOM_LISTENER, target, Outcome.OK, detail)
    except FaultError as error:
        if settings.is_on or "nothing listens" not in error.detail:
            return error.of(Check.DICOM_LISTENER, target)
        detail = "nothing listens; `radstream serve` does where its port is set"
        return Finding(Check.DICOM_LISTENER, target, Outcome.SKIPPED, detail)
    return Finding(Check.DICOM_LISTENER, target, Outcome.OK, "C-ECHO answered")


def _unverified() -> ssl.SSLContext:
    """Return TLS for a peer whose name and authority are not asked: it is this machine's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _own_context(settings: DimseSettings) -> ssl.SSLContext | None:
    """Return TLS to the listener, with its own certificate for that of a client.

    Raises
    ------
    FaultError
    """
    if settings.tls_certificate is None:
        return None
    context = _unverified()
    if settings.tls_client_ca is not None:
        try:
            context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        except OSError as error:
            detail = "its certificate and key cannot be used"
            raise FaultError(detail, Side.GATEWAY, f"{_DIMSE}TLS_CERTIFICATE") from error
    return context
