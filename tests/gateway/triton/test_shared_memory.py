"""What is left of shared memory when its gateway ends, or is killed."""

import os
import secrets
from pathlib import Path

import numpy as np
import pytest

from gateway.triton.shared_memory import RegionPool

SHARED = Path("/dev/shm")  # noqa: S108 - where Linux keeps what shm_open(3) makes


def test_what_a_killed_gateway_left_goes_though_another_has_its_process_id() -> None:
    left = SHARED / f"radstream-tensors-{os.getpid()}-{secrets.token_hex(4)}-0"
    left.write_bytes(b"tensor")
    RegionPool(1 << 20)
    assert not left.exists()


def test_what_a_gateway_still_uses_stays() -> None:
    pool = RegionPool(1 << 20)
    region = pool.take(1 << 20)
    assert region is not None
    RegionPool(1 << 20)
    assert (SHARED / region.name).exists()
    pool.close()
    assert not (SHARED / region.name).exists()


def test_region_that_triton_has_mapped_leaves_no_name() -> None:
    pool = RegionPool(1 << 20)
    region = pool.take(1)
    assert region is not None
    region.register()
    assert not (SHARED / region.name).exists()
    region.write(np.arange(4, dtype=np.uint8))
    assert region.view[:4] == bytes(range(4))
    pool.close()


def test_region_goes_though_a_thread_still_writes_to_it() -> None:
    """Its caller has gone, and a thread cannot be stopped."""
    pool = RegionPool(1 << 20)
    region = pool.take(1)
    assert region is not None
    written = np.frombuffer(region.view, np.uint8)
    pool.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(region.descriptor)
    assert not written.any()


def test_what_triton_has_forgotten_makes_room_for_others() -> None:
    pool = RegionPool(1 << 19)
    used, free = pool.take(1 << 18), pool.take(1 << 18)
    assert used is not None
    assert free is not None
    assert pool.take(1) is None
    for region in (used, free):
        region.register()
    pool.give_back(free)
    pool.forget([used])
    another = pool.take(1 << 18)
    assert another is not None
    assert not another.registered
    assert pool.take(1) is None  # the one in use still counts
    pool.give_back(used)
    assert pool.take(1) is not None
    pool.close()


def test_what_was_made_since_triton_started_anew_is_not_forgotten() -> None:
    """The calls that the old one was at hear of the new one after each other."""
    pool = RegionPool(1 << 20)
    first, second = pool.take(1 << 18), pool.take(1 << 18)
    assert first is not None
    assert second is not None
    for region in (first, second):
        region.register()
    pool.forget([first])
    pool.give_back(first)
    since = pool.take(1 << 18)
    assert since is not None
    since.register()
    pool.forget([second])
    pool.give_back(since)
    assert pool.take(1 << 18) is since
    pool.close()
