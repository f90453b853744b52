"""The cores and memory this process may use: a container's limits, where there are any.

psutil tells the machine's cores and memory, not a container's limits.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def cores(cgroup: Path = _CGROUP) -> int:
    """Return cores that the process may use at once, one at the least.

    Notes
    -----
    A container's share of time (cgroup v2, ``cpu.max``: microseconds of every so many) is rounded
    up to whole cores.
    """
    own = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            return max(1, min(own, math.ceil(int(quota) / int(period))))
    return own


def memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Return memory that the process may use: the machine's, or its container's if that is less."""
    own = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        return min(own, int((cgroup / "memory.max").read_text(encoding="ascii")))
    return own
