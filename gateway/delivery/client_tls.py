"""TLS of connections that the gateway opens to destinations."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from gateway.errors import DeliveryUnansweredError
from gateway.schemas.routing_destinations import DestinationTls, DicomDestination, Hl7Destination

if TYPE_CHECKING:
    from gateway.schemas.routing_destinations import Destination
    from gateway.settings import DimseSettings


def context_to(destination: Destination, listener: DimseSettings) -> ssl.SSLContext | None:
    """Return the context of a new connection to a destination; None where it is without TLS.

    Blocks while files are read.

    Raises
    ------
    DeliveryUnansweredError
        See `client_context`.
    """
    if isinstance(destination, DicomDestination):
        return dicom_context(destination, listener)
    if isinstance(destination, Hl7Destination):
        return None if destination.tls is None else client_context(destination.tls)
    if not destination.url.startswith("https://"):
        return None
    return client_context(destination.tls or DestinationTls())


def client_context(tls: DestinationTls, *, check_host: bool = True) -> ssl.SSLContext:
    """Return the context of a new connection, from the files as they are now.

    Blocks while they are read.

    Parameters
    ----------
    check_host
        False where certificates name applications and not hosts, as in DICOM.

    Raises
    ------
    DeliveryUnansweredError
        A file cannot be used; one that is being renewed can be a moment later.
    """
    try:
        context = ssl.create_default_context(cafile=tls.authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = check_host
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        raise DeliveryUnansweredError("the files of its TLS cannot be used") from error
    return context


def dicom_context(destination: DicomDestination, listener: DimseSettings) -> ssl.SSLContext | None:
    """Return the context to an archive, with the listener's files where it has none of its own.

    None where the archive speaks no TLS. Blocks while files are read.

    Raises
    ------
    DeliveryUnansweredError
        See `client_context`.
    """
    tls = destination.tls
    if tls is None:
        return None
    defaults = {
        "certificate": tls.certificate or listener.tls_certificate,
        "key": tls.key or listener.tls_key,
        "authorities": tls.authorities or listener.tls_client_ca,
    }
    return client_context(tls.model_copy(update=defaults), check_host=False)
