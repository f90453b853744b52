"""Turns that the workers of a gateway take one at a time, such as the reload of a model."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Grant = Callable[[bool], None]


@dataclass(slots=True)
class _Queue:
    """The turns of one name: the worker in its turn, and those that wait."""

    holder: int | None = None
    waiting: deque[tuple[int, Grant]] = field(default_factory=deque)


class Turns:
    """Turns by name; a worker has one, the others wait until it was used or given back unused."""

    def __init__(self) -> None:
        self._queues: defaultdict[bytes, _Queue] = defaultdict(_Queue)

    def ask(self, name: bytes, worker: int, grant: Grant) -> None:
        """Give the worker its turn, now or later.

        Parameters
        ----------
        grant
            Told True when the turn is the worker's, and False where another used one meanwhile.
        """
        queue = self._queues[name]
        queue.waiting.append((worker, grant))
        self._go_on(name)

    def end(self, name: bytes, worker: int, *, is_used: bool) -> None:
        """End the worker's turn; where it was used, all that wait need none any more."""
        queue = self._queues.get(name)
        if queue is None or queue.holder != worker:
            return
        queue.holder = None
        if is_used:
            served, queue.waiting = queue.waiting, deque()
            for _, grant in served:
                grant(False)
        self._go_on(name)

    def forget(self, worker: int) -> None:
        """End what a worker that is gone has and waits for."""
        for name, queue in list(self._queues.items()):
            queue.waiting = deque(each for each in queue.waiting if each[0] != worker)
            self.end(name, worker, is_used=False)

    def _go_on(self, name: bytes) -> None:
        queue = self._queues[name]
        if queue.holder is None and queue.waiting:
            queue.holder, grant = queue.waiting.popleft()
            grant(True)
        if queue.holder is None:
            del self._queues[name]
