"""Loopback ports for one Triton."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"

# Triton's own default, where helm/prometheus.yml looks for it.
METRICS_PORT = 8002

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


def choose_ports(*, metrics: int | None = None) -> TritonPorts:
    """Return three different ports that were free on the loopback address a moment ago.

    Another process may still take one before Triton binds it; the launcher then chooses anew.

    Parameters
    ----------
    metrics
        The metrics' port, if it is free; any if not, or if None.
    """
    free: list[int] = []
    for port in random.sample(_CANDIDATES, k=len(_CANDIDATES)):
        if _is_free(port):
            free.append(port)
        if len(free) == 3:  # noqa: PLR2004 - as many as TritonPorts has fields
            if metrics is not None and _is_free(metrics):
                free[2] = metrics
            return TritonPorts(*free)
    raise OSError(f"no three free ports from {_CANDIDATES.start} to {_CANDIDATES.stop - 1}")


@contextmanager
def claimed(port: int) -> Iterator[bool]:
    """Claim the port; yield False if another server that is started here claims it.

    Two that tried for one port could both be told that it answers, and one of them would end a
    moment later. The claim is a name that the kernel forgets with the process (unix(7), abstract
    sockets); a port's name is not claimed twice until the block ends.
    """
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            claim.bind(f"\0radstream-triton-port-{port}")
        except OSError:
            yield False
        else:
            yield True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Triton's listeners do: a port whose last connections sit in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
