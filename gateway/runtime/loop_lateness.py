"""Lateness of the event loop, for which no sender is to blame.

A loop that is held up, as on a starved machine, sees neither what came meanwhile nor that its
sender could not go on. So a sender is waited for in steps, and each step's lateness is left out of
its time: at the end alone it would show only by chance.
"""

from __future__ import annotations

from typing import NamedTuple

_LONGEST_S = 0.25
# A loop that is late by as much was held up.
_LATE_S = 0.1
# What came meanwhile is looked at for so long; shorter than late, so that waiting has an end.
_LOOK_S = 0.05


class Step(NamedTuple):
    """Part of the time for which a sender is waited, by the event loop's clock."""

    begin: float
    end: float

    @classmethod
    def of(cls, now: float, due: float) -> Step:
        """Return the next step of waiting for a sender whose time is over when due."""
        return cls(now, max(now, min(due, now + _LONGEST_S)))

    def excused_s(self, now: float) -> float:
        """Return the seconds to add to the sender's time now that the step has ended."""
        late_s = now - self.end
        if late_s < _LATE_S:
            return 0.0
        return late_s + (_LOOK_S if self.end - self.begin > _LATE_S else 0.0)
