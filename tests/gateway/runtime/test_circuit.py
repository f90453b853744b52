"""Circuits: whoever fails is left alone, and tried by one caller at a time."""

import asyncio
import time

import pytest

from gateway.runtime.backoff import Backoff
from gateway.runtime.circuit import Circuit

LONG = Backoff(first_s=3600.0, longest_s=3600.0)
NONE = Backoff(first_s=0.0, longest_s=0.0)


class Caller:
    """Enters a circuit, and stays inside until it is let go."""

    def __init__(self, circuit: Circuit) -> None:
        self.inside, self.over = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._call(circuit))

    async def _call(self, circuit: Circuit) -> None:
        async with circuit.turn():
            self.inside.set()
            await self.over.wait()

    async def leave(self) -> None:
        self.over.set()
        await self.task


async def settle() -> None:
    """Let every task go on as far as it can without time passing."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_closed_circuit_lets_everybody_in():
    circuit = Circuit()
    callers = [Caller(circuit) for _ in range(3)]
    await settle()
    assert all(caller.inside.is_set() for caller in callers)
    for caller in callers:
        await caller.leave()


async def test_an_open_circuit_lets_nobody_in_before_its_time():
    circuit = Circuit(LONG)
    circuit.failed()
    caller = Caller(circuit)
    await settle()
    assert not caller.inside.is_set()
    circuit.succeeded()
    await caller.inside.wait()
    await caller.leave()


async def test_one_at_a_time_tries_and_its_success_lets_all_in():
    circuit = Circuit(NONE)
    circuit.failed()
    callers = [Caller(circuit) for _ in range(3)]
    await settle()
    [first] = [caller for caller in callers if caller.inside.is_set()]
    circuit.succeeded()
    await settle()
    assert all(caller.inside.is_set() for caller in callers)
    for caller in callers:
        await caller.leave()
    assert first in callers


async def test_who_leaves_without_a_call_lets_the_next_one_try():
    circuit = Circuit(NONE)
    circuit.failed()
    first, second = Caller(circuit), Caller(circuit)
    await settle()
    assert (first.inside.is_set(), second.inside.is_set()) == (True, False)
    await first.leave()
    await second.inside.wait()
    await second.leave()


async def test_who_is_cancelled_while_it_tries_holds_nobody_up():
    circuit = Circuit(NONE)
    circuit.failed()
    first, second = Caller(circuit), Caller(circuit)
    await first.inside.wait()
    first.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first.task
    await second.inside.wait()
    await second.leave()


async def test_the_time_that_the_system_asks_for_counts_where_it_is_longer():
    circuit = Circuit(NONE)
    before = time.monotonic()
    circuit.failed(3600.0)
    assert circuit._open_until - before >= 3600
    circuit = Circuit(LONG)
    circuit.failed(1.0)
    assert circuit._open_until - before >= 1800


async def test_only_the_first_failure_and_the_first_success_are_told():
    told: list[bool] = []
    circuit = Circuit(NONE, told.append)
    circuit.succeeded()
    circuit.failed()
    circuit.failed()
    assert circuit.is_open
    circuit.succeeded()
    circuit.succeeded()
    assert told == [True, False]
