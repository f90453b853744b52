"""Backend processes that died unnoticed by their Triton.

Triton waits without a limit for the first words of a backend process that it has just started. One
that dies before is left as a zombie, and its load never ends; nor does any later load or unload of
that model.
"""

import asyncio
import contextlib
import os
import re
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

_LOOK_S = 0.5


def lost_backends(guardian_pid: int) -> frozenset[int]:
    """Return the ids of dead children that the guardian's Triton has not taken notice of."""
    children = _servers_children(guardian_pid)
    return frozenset(pid for pid, state in children.items() if state == "Z")


def children_of(parent_pid: int) -> list[int]:
    """Return the ids of the process's children."""
    return list(_children()[parent_pid])


def _servers_children(guardian_pid: int) -> dict[int, str]:
    """Process ids and states of the children of the guardian's Triton."""
    children = _children()
    return {
        pid: state
        for server in list(children[guardian_pid])
        for pid, state in children[server].items()
    }


def _children() -> defaultdict[int, dict[int, str]]:
    """Return the ids and states of all processes, by their parent's."""
    children: defaultdict[int, dict[int, str]] = defaultdict(dict)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended by now
            # proc(5): "pid (name) state ppid …"; the name may hold blanks and parentheses.
            state, parent, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
            children[int(parent)][int(stat.parent.name)] = state
    return children


def backends_of(guardian_pid: int, model_name: str) -> frozenset[int]:
    """Return the ids of the living processes in which the guardian's Triton runs the model."""
    # Not by the name of its instance: that of x_2 looks like one of x.
    model_file = re.compile(rf"/.*/{re.escape(model_name)}/\d+/[^/]+")
    found = set()
    for pid in _servers_children(guardian_pid):
        with contextlib.suppress(OSError):  # it has ended by now
            arguments = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
            if any(model_file.fullmatch(argument) for argument in arguments):
                found.add(pid)
    return frozenset(found)


def end(pids: Iterable[int]) -> None:
    """Kill processes, those that have ended by now aside."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def wait_until_lost(look: Callable[[], frozenset[int]], after_s: float) -> None:
    """Return once a backend has been lost for so many seconds."""
    since: dict[int, float] = {}
    while True:
        now = time.monotonic()
        since = {pid: since.get(pid, now) for pid in look()}
        if any(now - moment >= after_s for moment in since.values()):
            return
        await asyncio.sleep(_LOOK_S)
