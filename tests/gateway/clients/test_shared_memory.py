"""What is left of shared memory when its gateway ends, or is killed."""

import os
import secrets
from pathlib import Path

from gateway.clients.shared_memory import RegionPool

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
