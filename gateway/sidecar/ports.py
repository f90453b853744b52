"""Loopback ports for one Triton."""

import random
import socket
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"

# Below Linux's usual ephemeral range (from 32768): no outgoing connection and no bind to port 0
# can take a port between the moment it is chosen and the moment Triton binds it, nor while Triton
# restarts. A client that reconnects to a dead loopback port inside that range can even connect to
# itself and keep the server out.
_CANDIDATES = range(20000, 32768)


@dataclass(frozen=True, slots=True)
class TritonPorts:
    """The three ports on which one server listens."""

    grpc: int
    http: int
    metrics: int


def choose_ports() -> TritonPorts:
    """Three different ports that were free on the loopback address a moment ago.

    Another process may still take one before Triton binds it; the launcher then chooses anew.
    """
    free: list[int] = []
    for port in random.sample(_CANDIDATES, k=len(_CANDIDATES)):
        if _is_free(port):
            free.append(port)
        if len(free) == 3:  # noqa: PLR2004 - as many as TritonPorts has fields
            return TritonPorts(*free)
    raise OSError(f"no three free ports from {_CANDIDATES.start} to {_CANDIDATES.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Triton's listeners do: a port whose last connections sit in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
