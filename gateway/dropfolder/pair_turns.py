"""Turns of the deliveries of one pair: inside a process one after the other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.dropfolder.objects import Dropped


@dataclass(frozen=True, slots=True)
class TakenPair:
    """Image and sidecar that a delivery took, with nothing else waiting or parked beside them.

    Parameters
    ----------
    study_id
        The study, whose result is stored.
    tags
        Tag of each object as it was read, by its reference.
    """

    study_id: str
    tags: dict[str, str]

    def has(self, dropped: Dropped, tag: str, beside: Sequence[Dropped]) -> bool:
        """Return True if the object was taken with this tag, and so was each image beside it."""
        return self.tags.get(dropped.reference) == bare(tag) and all(
            image.reference in self.tags for image in beside
        )


class PairTurn(asyncio.Lock):
    """Held by the delivery that is at the pair.

    Attributes
    ----------
    taken
        Pair as the delivery before this one took it, for one that was waiting meanwhile.
    """

    taken: TakenPair | None = None


class PairTurns:
    """Turns of all pairs that deliveries of this process are at.

    A delivery that waits for one is to hold nothing that others need.
    """

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, PairTurn] = WeakValueDictionary()

    def of(self, dropped: Dropped) -> PairTurn:
        """Return the turn of the object's pair, which goes with the last delivery that has it."""
        return self._turns.setdefault(dropped.pair_reference, PairTurn())


def bare(tag: str) -> str:
    """Return an ETag without its quotes, as events have it."""
    return tag.strip('"')
