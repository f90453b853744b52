"""Waits that double up to a ceiling."""

import asyncio

import pytest

from gateway.runtime.backoff import Backoff

BOUNDS = [(0, 1), (1, 2), (2, 4), (3, 8), (4, 8), (10**6, 8)]


@pytest.mark.parametrize(("failures", "bound"), BOUNDS)
@pytest.mark.parametrize("jitter", [0.5, 1.0])
def test_waits_grow_to_a_ceiling_and_differ(failures: int, bound: float, jitter: float):
    backoff = Backoff(first_s=1, longest_s=8, jitter=jitter)
    waits = {backoff.wait_s(failures) for _ in range(100)}
    assert (1 - jitter) * bound <= min(waits) < max(waits) <= bound
    assert len(waits) > 90


async def test_wait_ends_with_the_event():
    stop = asyncio.Event()
    waiting = asyncio.create_task(Backoff(first_s=3600, longest_s=3600).wait(0, stop))
    stop.set()
    await waiting
    await Backoff(first_s=0.001, longest_s=0.001).wait(0, asyncio.Event())
