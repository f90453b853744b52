"""POSIX shared memory for tensors on their way to a Triton on the same machine.

A gRPC message is framed and copied several times on its way, which a picture of megapixels feels;
`bench/placement.py` measures both.

Not tritonclient's module: its regions keep their names for as long as they are in use, so that a
picture outlives a gateway that is killed.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from numpy.typing import NDArray

_FOLDER = Path("/dev/shm")  # noqa: S108 - where Linux keeps what shm_open(3) makes
_PREFIX = "radstream-tensors-"
_LEAST_BYTES = 1 << 18
# A call that ended without an answer may still be read by Triton: its region rests longer than any
# request may wait and run there, before another picture is written over it.
_REST_S = 600.0


@dataclass(slots=True)
class Region:
    """One piece of shared memory, known to Triton by its name once it is registered."""

    name: str
    size: int
    view: mmap.mmap
    descriptor: int  # holds the lock by which others see that the region is in use
    registered: bool = False
    forgotten: bool = False
    rests_until: float = field(default=0.0)

    @property
    def key(self) -> str:
        """The name that shm_open(3) takes."""
        return f"/{self.name}"

    def register(self) -> None:
        """Note that Triton has mapped the region, and take its name away.

        So nothing of a picture is left in memory when gateway and Triton end, however they end.
        """
        self.registered = True
        (_FOLDER / self.name).unlink(missing_ok=True)

    def write(self, array: NDArray[Any]) -> None:
        """Copy the array's elements, in C order, to the region's beginning."""
        target = np.frombuffer(self.view, dtype=array.dtype, count=array.size)
        np.copyto(target.reshape(array.shape), array)

    def rest(self) -> None:
        """Keep the region from use until nothing can be reading it any more."""
        self.rests_until = time.monotonic() + _REST_S
        if not self.registered:  # or its registration is uncertain: the name has had its turn
            self.forgotten = True

    def close(self) -> None:
        """Take the region away; Triton keeps its own mapping until it lets go."""
        (_FOLDER / self.name).unlink(missing_ok=True)
        os.close(self.descriptor)
        # A thread whose caller has gone may still copy into it: then it goes when that has ended.
        with suppress(BufferError):
            self.view.close()


class RegionPool:
    """Regions for reuse, of a bounded size in all.

    Parameters
    ----------
    limit_bytes
        Of all regions together. Where no more can be had, tensors travel in the message instead.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._used_bytes = 0
        self._numbers = itertools.count()
        self._all: list[Region] = []
        self._free: list[Region] = []
        self._prefix = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        if limit_bytes:
            _remove_orphans()

    @contextmanager
    def lent(self, sizes: Mapping[str, int]) -> Iterator[Mapping[str, Region]]:
        """Yield regions of at least so many bytes, by name, for a call to Triton within.

        Names for which none can be had are left out.
        """
        taken: dict[str, Region] = {}
        try:
            for name, size in sizes.items():
                if (region := self.take(size)) is not None:
                    taken[name] = region
            yield taken
        except BaseException:
            for region in taken.values():
                region.rest()  # no answer: Triton may still be reading
            raise
        finally:
            for region in taken.values():
                self.give_back(region)

    def take(self, size: int) -> Region | None:
        """Return a region of at least this many bytes, or None where the limit is reached."""
        now = time.monotonic()
        fitting = [
            region for region in self._free if region.size >= size and region.rests_until <= now
        ]
        if fitting:
            region = min(fitting, key=lambda candidate: candidate.size)
            self._free.remove(region)
            return region
        wanted = max(_LEAST_BYTES, 1 << (size - 1).bit_length())
        if self._used_bytes + wanted > self._limit_bytes:
            return None
        return self._make(wanted)

    def give_back(self, region: Region) -> None:
        """Return the region for reuse, once it has rested."""
        if region.forgotten:
            self._drop(region)
        else:
            self._free.append(region)

    def forget(self, unknown: Collection[Region]) -> None:
        """Replace all regions: Triton was started anew and knows neither these nor older ones.

        Each call under way at the start learns of it by itself. What the first one forgot is not
        forgotten again: Triton knows what was made since, and would keep it for ever.
        """
        if all(region.forgotten for region in unknown):
            return
        for region in self._all:
            region.forgotten = region.registered
        for region in [region for region in self._free if region.forgotten]:
            self._free.remove(region)
            self._drop(region)

    def close(self) -> None:
        """Take all regions away."""
        for region in self._all:
            region.close()
        self._all.clear()
        self._free.clear()

    def _drop(self, region: Region) -> None:
        self._all.remove(region)
        self._used_bytes -= region.size
        region.close()

    def _make(self, size: int) -> Region | None:
        name = f"{self._prefix}-{next(self._numbers)}"
        try:
            descriptor = os.open(_FOLDER / name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.fstat(descriptor).st_nlink:
                    raise FileNotFoundError(name)  # it was taken for an orphan just before
                os.posix_fallocate(descriptor, 0, size)  # now, not as SIGBUS at the first write
                view = mmap.mmap(descriptor, size)
            except OSError:
                os.close(descriptor)
                raise
        except OSError:  # /dev/shm is full, or there is none
            (_FOLDER / name).unlink(missing_ok=True)
            return None
        region = Region(name, size, view, descriptor)
        self._used_bytes += size
        self._all.append(region)
        return region


def _remove_orphans() -> None:
    """Take away what processes that were killed have left.

    Whether one lives, its lock tells and its process id does not: a container that is started anew
    has the same id as the one before it, and finds the same memory.
    """
    for path in _FOLDER.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # gone by now, in use, or another user's
            descriptor = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)
