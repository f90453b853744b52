"""Shares of one budget: nobody is starved, nothing is lost, whatever the order of things."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.admission.shared_budget import SharedBudget


def greedily(budget: SharedBudget, *callers: str) -> list[int]:
    """What each holds when all take in turns whatever they get."""
    held = dict.fromkeys(callers, 0)
    while takers := [caller for caller in callers if budget.take(caller)]:
        for caller in takers:
            held[caller] += 1
    return list(held.values())


@pytest.mark.parametrize(
    ("limit", "callers", "held"),
    [
        (16, "a", [8]),
        (2, "a", [1]),
        (16, "ab", [6, 5]),  # a third each, and a third for whoever comes
        (16, "abc", [4, 4, 4]),
        (4, "abcdef", [1, 1, 1, 1, 0, 0]),
    ],
)
def test_whoever_takes_all_they_can_leaves_a_share_like_their_own(
    limit: int, callers: str, held: list[int]
):
    assert greedily(SharedBudget(limit), *callers) == held


def test_a_newcomer_finds_room_beside_one_who_floods():
    budget = SharedBudget(16)
    greedily(budget, "flood")
    assert not budget.take("flood")
    assert not budget.is_full()
    assert all(budget.take("newcomer") for _ in range(4))


def test_an_amount_is_taken_whole_or_not_at_all():
    budget = SharedBudget(100)
    assert budget.take("a", 60)
    assert not budget.take("b", 41)
    assert budget.used == 60
    assert budget.take("b", 40)
    assert budget.is_full()


async def test_who_waits_is_served_in_order_and_before_who_comes_later():
    budget, served = SharedBudget(2), list[int]()
    assert budget.take("a")

    async def wait(number: int) -> None:
        await budget.wait("a")
        served.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert budget.waiting == 3
    for _ in tasks:
        budget.give("a")
        assert not budget.take("a")  # the place is the next one's already
        await asyncio.sleep(0)
    assert served == [0, 1, 2]
    assert (budget.waiting, budget.used) == (0, 1)


async def test_one_who_must_wait_does_not_hold_up_another_caller():
    budget = SharedBudget(4)
    greedily(budget, "a", "b")
    waiting = [asyncio.create_task(budget.wait(caller)) for caller in ("a", "c")]
    await asyncio.sleep(0)
    budget.give("b")
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [False, True]
    waiting[0].cancel()


async def test_who_gives_up_leaves_the_line():
    budget = SharedBudget(2)
    budget.take("a")
    waiting = asyncio.create_task(budget.wait("a"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert budget.waiting == 0
    budget.give("a")
    assert budget.used == 0


async def test_who_is_served_and_gives_up_in_one_moment_leaves_nothing_behind():
    budget = SharedBudget(2)
    budget.take("a")
    waiting = asyncio.create_task(budget.wait("a"))
    await asyncio.sleep(0)
    budget.give("a")
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    assert (budget.used, budget.waiting) == (0, 0)


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 20)), max_size=60),
)
def test_no_more_is_held_than_there_is_and_all_of_it_comes_back(
    limit: int, wishes: list[tuple[str, int]]
):
    budget, held = SharedBudget(limit), list[tuple[str, int]]()
    for caller, amount in wishes:
        if budget.take(caller, amount):
            held.append((caller, amount))
        elif held:
            budget.give(*held.pop(0))
        assert budget.used == sum(amount for _, amount in held) <= limit
    for caller, amount in held:
        budget.give(caller, amount)
    assert budget.used == 0
    assert budget.take("a", limit)
