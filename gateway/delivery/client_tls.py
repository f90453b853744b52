"""TLS of connections that the gateway opens to destinations."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from gateway.errors import DeliveryUnansweredError

if TYPE_CHECKING:
    from gateway.schemas.routing import DestinationTls


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
