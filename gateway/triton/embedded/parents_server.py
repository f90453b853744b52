"""The embedded Triton of the parent process, as one of several that stand before it sees it."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from gateway.triton.embedded import backends
from gateway.triton.embedded.process import GUARDIAN


class ParentsTriton:
    """The Triton that runs below the parent of this process; see `TritonHost`.

    Parameters
    ----------
    ask_restart
        Asks the parent to start it anew.
    """

    restarts_silent = True

    def __init__(self, ask_restart: Callable[[], None]) -> None:
        self._ask_restart = ask_restart
        self._parent = os.getppid()

    def lost_backends(self) -> frozenset[int]:
        """Return the ids of backend processes that died and that the server waits for."""
        return frozenset().union(
            *(backends.lost_backends(guardian) for guardian in self._guardians())
        )

    def backends_of(self, model_name: str) -> frozenset[int]:
        """Return the ids of the living processes in which the server runs the model."""
        return frozenset().union(
            *(backends.backends_of(guardian, model_name) for guardian in self._guardians())
        )

    def end_backends(self, model_name: str, pids: frozenset[int]) -> None:
        """Kill those of these processes in which the server runs the model still."""
        backends.end(pids & self.backends_of(model_name))

    def restart(self) -> bool:
        """Ask for the server to be started anew; return False: the parent tells of it if it is."""
        self._ask_restart()
        return False

    def _guardians(self) -> list[int]:
        """Return the ids of the processes that guard a server of the parent's."""
        found = []
        for pid in backends.children_of(self._parent):
            with contextlib.suppress(OSError):  # it has ended by now
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if os.fsencode(GUARDIAN) in arguments:
                    found.append(pid)
        return found
