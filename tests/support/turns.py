"""Calls of a store that take effect in an order that is drawn."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any


class Turns:
    """Lets the calls that wait at a store take effect one at a time, in an order that is drawn."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []
        self._over = False

    async def turn(self) -> None:
        if self._over:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    async def run(
        self, draw: Callable[[int], int], *work: Coroutine[Any, Any, Any], kill_after: int = -1
    ) -> list[Any]:
        """The outcomes; `kill_after` that many steps the first piece of work dies on the spot."""
        tasks = [asyncio.create_task(each) for each in work]
        try:
            for steps in itertools.count():
                for _ in range(10):  # until all that can go on waits at the store again
                    await asyncio.sleep(0)
                if all(task.done() for task in tasks):
                    break
                if steps == kill_after:
                    tasks[0].cancel()
                elif self._waiting:
                    future = self._waiting.pop(draw(len(self._waiting)))
                    if not future.done():
                        future.set_result(None)
        finally:  # Hypothesis may break off within a draw
            self._over = True
            for task in tasks:
                task.cancel()
            for future in self._waiting:
                if not future.done():
                    future.set_result(None)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return outcomes
