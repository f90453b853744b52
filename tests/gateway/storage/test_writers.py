"""Writers of one store at once: all that they are told fits some order, one after the other."""

import asyncio
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from gateway.errors import ObjectNotFoundError
from gateway.storage.folder import FolderStore
from gateway.storage.protocol import ObjectStore, Tagged
from tests.support.s3 import new_store
from tests.support.store import MemoryStore

TYPE = "application/octet-stream"
KEYS = ("a", "b/c")
CONTENTS = (b"", b"1", b"22", b"333")

Objects = Mapping[str, bytes]
Outcome = bytes | bool | None


@dataclass(frozen=True)
class Call:
    """One call of one writer.

    `held` is the state that the writer has read last, which a swap goes by; None: no object.
    """

    kind: Literal["read", "create", "replace", "swap", "delete"]
    key: str
    data: bytes
    writer: int
    held: bytes | None = None


def after(call: Call, told: Outcome, objects: Objects) -> Objects | None:
    """What a call that is told this leaves of these objects; None if it cannot be told this."""
    found = objects.get(call.key)
    possible, left = True, objects
    if call.kind == "replace" or (call.kind in {"create", "swap"} and told):
        left = {**objects, call.key: call.data}
    match call.kind:
        case "read":
            possible = told == found
        case "create":
            possible = told == (found is None)
        case "swap":
            # S3 looks for its own bytes after it has lost: others may have come and gone.
            possible = found in {call.held, call.data} if told else found != call.held
        case "delete":
            left = {key: data for key, data in objects.items() if key != call.key}
    return left if possible else None


def explains(calls: Sequence[tuple[Call, Outcome]], objects: Objects, left: Objects) -> bool:
    """Whether the calls, in this order, are told what they were told, and leave what was left."""
    now: Objects | None = objects
    for call, told in calls:
        now = None if now is None else after(call, told, now)
    return now == left


def test_order_that_explains_nothing_is_none():
    swaps = [Call("swap", "a", data, 0, held=b"") for data in (b"1", b"22")]
    both = [(call, True) for call in swaps]
    assert not explains(both, {"a": b""}, {"a": b"22"})
    assert explains([(swaps[0], True), (swaps[1], False)], {"a": b""}, {"a": b"1"})


class Writers(RuleBasedStateMachine):
    """Writers with a store of their own each, all of one place."""

    def __init__(self, runner: asyncio.Runner, stores: Sequence[ObjectStore], at: str) -> None:
        super().__init__()
        self.runner = runner
        self.stores = stores
        self.at = at
        self.objects: Objects = {}
        self.held: dict[tuple[int, str], Tagged | None] = {}

    @rule(
        calls=st.lists(
            st.builds(
                Call,
                kind=st.sampled_from(["read", "create", "replace", "swap", "swap", "delete"]),
                key=st.sampled_from(KEYS),
                data=st.sampled_from(CONTENTS),
                writer=st.integers(0, 2),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def at_once(self, calls: Sequence[Call]) -> None:
        """All of the calls begin before any has ended; they see what was held before them."""
        calls = [self._informed(call) for call in calls]
        told = self.runner.run(self._outcomes(calls))
        left = self.runner.run(self._left())
        outcomes = list(zip(calls, told, strict=True))
        orders: Iterable[Sequence[tuple[Call, Outcome]]] = itertools.permutations(outcomes)
        assert any(explains(order, self.objects, left) for order in orders), (
            self.objects,
            outcomes,
            left,
        )
        self.objects = left

    def _informed(self, call: Call) -> Call:
        held = self.held.get((call.writer, call.key))
        data = None if held is None else held.data
        return Call(call.kind, call.key, call.data, call.writer, data)

    async def _outcomes(self, calls: Sequence[Call]) -> Sequence[Outcome]:
        tags = [self.held.get((call.writer, call.key)) for call in calls]
        return await asyncio.gather(*map(self._outcome, calls, tags))

    async def _outcome(self, call: Call, held: Tagged | None) -> Outcome:
        store, key = self.stores[call.writer % len(self.stores)], self.at + call.key
        match call.kind:
            case "read":
                found = await self._found(store, key)
                self.held[call.writer, call.key] = found
                return None if found is None else found.data
            case "create":
                return await store.create(key, call.data, media_type=TYPE)
            case "replace":
                await store.replace(key, call.data, media_type=TYPE)
            case "swap":
                tag = None if held is None else held.tag
                new = await store.swap(key, call.data, tag=tag, media_type=TYPE)
                if new is not None:
                    self.held[call.writer, call.key] = Tagged(call.data, new)
                return new is not None
            case "delete":
                await store.delete(key)
        return None

    @staticmethod
    async def _found(store: ObjectStore, key: str) -> Tagged | None:
        try:
            return await store.read_tagged(key)
        except ObjectNotFoundError:
            return None

    async def _left(self) -> Objects:
        keys = await self.stores[0].keys(self.at)
        return {key.removeprefix(self.at): await self.stores[0].read(key) for key in keys}


def check(runner: asyncio.Runner, stores: Sequence[ObjectStore], examples: int) -> None:
    places: Iterator[int] = itertools.count()
    run_state_machine_as_test(
        lambda: Writers(runner, stores, f"{next(places)}/"),
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def test_writers_of_a_memory_store(runner: asyncio.Runner):
    check(runner, [MemoryStore()], 100)


@pytest.mark.long
def test_writers_of_a_folder(runner: asyncio.Runner, tmp_path: Path):
    stores = [FolderStore(tmp_path) for _ in range(3)]
    for store in stores:
        runner.run(store.open())
    check(runner, stores, 50)


def test_writers_of_a_bucket(runner: asyncio.Runner, s3_url: str):
    async def opened(stack: AsyncExitStack) -> ObjectStore:
        return await stack.enter_async_context(new_store(s3_url))

    stack = AsyncExitStack()
    store = runner.run(opened(stack))
    try:
        check(runner, [store], 25)
    finally:
        runner.run(stack.aclose())
