"""Checks before anything is started for the gateway, and its listening sockets."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from gateway.app.errors import AddressUnavailableError
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from gateway.settings import HttpSettings, Settings

_REASONS = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "this user may not listen there",
}


def check_address(http: HttpSettings) -> None:
    """Check that the gateway could listen now, before anything is started for it.

    Raises
    ------
    AddressUnavailableError
        Another program listens there, or this user may not.
    """
    for bound in bound_sockets(http):
        bound.close()


def bound_sockets(http: HttpSettings) -> list[socket.socket]:
    """Return a socket for each address that the gateway is to listen on; none listens yet.

    Raises
    ------
    AddressUnavailableError
        See `check_address`.
    """
    found: list[socket.socket] = []
    fault = OSError()
    with ExitStack() as stack:
        for family, kind, protocol, _, address in dict.fromkeys(
            socket.getaddrinfo(
                http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        ):
            try:
                found.append(stack.enter_context(_bound(family, kind, protocol, address)))
            except OSError as error:
                if error.errno in _REASONS:
                    raise unavailable(http, error) from error
                fault = error  # such as of IPv6, where there is none: another may do
        if not found:
            raise unavailable(http, fault)
        stack.pop_all()
    return found


def url_of(listener: socket.socket, *, is_tls: bool) -> str:
    """Return the base URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def unavailable(http: HttpSettings, error: OSError) -> AddressUnavailableError:
    """Return the error to raise where the gateway cannot listen at its address."""
    reason = _REASONS.get(error.errno or 0, error.strerror)
    return AddressUnavailableError(
        f"the gateway cannot listen on {http.host} port {http.port}: {reason}. "
        f"{PREFIX}HTTP{DELIMITER}PORT chooses another port"
    )


def _bound(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    with ExitStack() as stack:
        bound = stack.enter_context(socket.socket(family, kind, protocol))
        # Connections that ended a moment ago hold no port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        stack.pop_all()
    return bound


def check_routing(settings: Settings) -> None:
    """Check the file of the routing document, before anything is started for it.

    Raises
    ------
    StartError
        It cannot be read, is no routing document, or is none for these tenants.
    """
    if settings.routing.file is None:
        return
    # Most starts need neither, and what they import would hold up Triton's.
    from gateway.app.start_failures import not_started  # noqa: PLC0415
    from gateway.routing.document import RoutingFileError, read_routing  # noqa: PLC0415

    try:
        read_routing(settings.routing.file, settings.tenancy.tenants)
    except RoutingFileError as error:
        raise not_started(error, settings) from error
