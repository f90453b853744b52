"""Tasks side by side, so that one failure stops the rest, and events, of which one is enough.

Not `asyncio.TaskGroup`, which may raise an error in the place of a cancellation; see `together`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

T = TypeVar("T")
U = TypeVar("U")


async def together(coroutines: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Return the results in order; at the first error cancel the rest and raise it.

    A caller that is cancelled meanwhile gets `CancelledError`. (`asyncio.TaskGroup` raises an error
    of the same moment in its place, which could be taken for a reason to try again.)
    """
    waiting = list(coroutines)
    if len(waiting) == 1:  # of most studies: nothing to run beside it
        return [await _alone(waiting[0])]
    tasks = [asyncio.ensure_future(coroutine) for coroutine in waiting]
    if not tasks:
        return []
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()
        return [task.result() for task in tasks]
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def both(
    first: Coroutine[object, object, T], second: Coroutine[object, object, U]
) -> tuple[T, U]:
    """Return the results of two kinds of work; see `together`."""
    results: list[T | U] = await together([first, second])
    return cast("tuple[T, U]", tuple(results))


async def to_its_end(coroutine: Coroutine[object, object, T]) -> T:
    """Return the result of work that goes on though its caller is cancelled meanwhile.

    The cancellation is raised once the work has ended.
    """
    task = asyncio.ensure_future(coroutine)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def first_of(*events: asyncio.Event, timeout_s: float | None = None) -> None:
    """Return when one of the events is set, or the time is up."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _alone(coroutine: Coroutine[object, object, T]) -> T:
    try:
        return await coroutine
    except Exception:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from None
        raise
