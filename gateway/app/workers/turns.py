"""Turns that the workers of a gateway take one at a time, such as the reload of a model."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Grant = Callable[[bool], None]


class Asker(NamedTuple):
    """A worker that wants a turn, and the number of its question."""

    worker: int
    question: int


@dataclass(slots=True)
class _Queue:
    """The turns of one name: who has its turn, and those that wait, first come first."""

    holder: Asker | None = None
    waiting: dict[Asker, Grant] = field(default_factory=dict)


class Turns:
    """Turns by name; one asker has its own, the others wait until it was used or given back."""

    def __init__(self) -> None:
        self._queues: defaultdict[bytes, _Queue] = defaultdict(_Queue)

    def ask(self, name: bytes, asker: Asker, grant: Grant) -> None:
        """Give the asker its turn, now or later.

        Parameters
        ----------
        grant
            Told True when the turn is the asker's, and False where another used one meanwhile.
        """
        self._queues[name].waiting[asker] = grant
        self._go_on(name)

    def end(self, name: bytes, asker: Asker, *, is_used: bool) -> None:
        """End the asker's turn, or its wait; one that was used serves all that wait."""
        queue = self._queues[name]
        queue.waiting.pop(asker, None)
        if queue.holder == asker:
            queue.holder = None
            if is_used:
                served, queue.waiting = queue.waiting, {}
                for grant in served.values():
                    grant(False)
        self._go_on(name)

    def forget(self, worker: int) -> None:
        """End what a worker that is gone has and waits for."""
        for name, queue in list(self._queues.items()):
            for asker in [*queue.waiting, *([queue.holder] if queue.holder else [])]:
                if asker.worker == worker:
                    self.end(name, asker, is_used=False)

    def _go_on(self, name: bytes) -> None:
        queue = self._queues[name]
        if queue.holder is None and queue.waiting:
            queue.holder = next(iter(queue.waiting))
            queue.waiting.pop(queue.holder)(True)
        if queue.holder is None:
            del self._queues[name]
