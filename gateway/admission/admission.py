"""Admission of studies within a budget of bytes and one of studies.

A sender who waits at the other end of a connection is refused at once when there is no room, and
knows best when to come again. What is done in the background (dropped files, events, studies
accepted before) waits for its turn. Both draw on the same two budgets.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from gateway.admission.background_pace import BackgroundPace
from gateway.admission.shared_budget import SharedBudget
from gateway.errors import OverloadedError, TooManyPicturesError
from gateway.observability.metrics.admission import REASONS
from gateway.runtime.machine import cores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from gateway.observability.metrics import Metrics

# Those who wait in the background, as a multiple of the studies at work: what comes beyond would
# wait longer than a delivery may take.
_LINE_FACTOR = 16
# In this time a body of 5 MB comes over a line of 1 Gbit/s. Where lines are slower, bodies on their
# way would take the places from the studies at work, and the cores would rest.
_RESERVATION_S = 0.05


class Admission:
    """The two budgets that all studies share, and one for the pictures that are looked at.

    Parameters
    ----------
    bytes_limit
        Of bodies and files in memory together.
    studies_limit
        Studies at work at once. By Little's law it is also the time that an accepted study takes
        under full load: the limit divided by the studies that are done in a second.
    pictures_limit
        Pictures drawn or waiting to be at once. They take no study's place, and no study theirs:
        radiologists can look at them while the gateway is full.
    metrics
        Shows what is held, and counts what is refused.
    background_share
        See `BackgroundPace`.
    """

    def __init__(
        self,
        *,
        bytes_limit: int,
        studies_limit: int,
        pictures_limit: int,
        metrics: Metrics,
        background_share: float = 1.0,
    ) -> None:
        self.background = BackgroundPace(
            background_share, cores(), on_held=metrics.admission.background_held.inc
        )
        self.bytes = SharedBudget(bytes_limit)
        self.studies = SharedBudget(studies_limit)
        self.pictures = SharedBudget(pictures_limit)
        # Kept: to look a label up takes longer than all else there is to a refusal.
        self._rejected = {reason: metrics.admission.rejected.labels(reason) for reason in REASONS}
        metrics.admission.limit_bytes.set(bytes_limit)
        metrics.admission.limit_studies.set(studies_limit)
        # Asked for when somebody looks: a study pays nothing for them.
        metrics.admission.bytes.set_function(lambda: self.bytes.used)
        metrics.admission.studies.set_function(lambda: self.studies.used)

    def slot(self, caller: str) -> Slot:
        """Return a context in which the caller's study holds what it takes of the budgets."""
        return Slot(self, caller)

    @contextmanager
    def picture(self, caller: str) -> Iterator[None]:
        """Yield a context in which the caller has a place among the pictures.

        Raises
        ------
        TooManyPicturesError
        """
        if not self.pictures.take(caller):
            self._rejected["pictures"].inc()
            raise TooManyPicturesError
        try:
            yield
        finally:
            self.pictures.give(caller)

    def refuse_study(self) -> OverloadedError:
        """Return the error to raise where a caller gets no place."""
        return self.refuse("studies" if self.studies.is_full() else "caller")

    def refuse(self, reason: str) -> OverloadedError:
        """Return the error to raise, which is counted."""
        self._rejected[reason].inc()
        return OverloadedError(reason)


class Slot:
    """The share of the budgets that one study holds until its block ends."""

    __slots__ = ("_admission", "_bytes", "_caller", "_has_place", "_lapse")

    def __init__(self, admission: Admission, caller: str) -> None:
        self._admission = admission
        self._caller = caller
        self._bytes = 0
        self._has_place = False
        self._lapse: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bytes:
            self._admission.bytes.give(self._caller, self._bytes)
        self._end_reservation()
        self._give_place()

    def reserve(self) -> None:
        """Take a place for a study whose body is on its way; it lapses unless that is there soon.

        Without it, all that come before the first body is there are let in for one free place, and
        refused once their bodies were received for nothing. A slow body takes nobody's place.

        Raises
        ------
        OverloadedError
        """
        self.take()
        self._lapse = asyncio.get_running_loop().call_later(_RESERVATION_S, self._give_place)

    def check(self) -> None:
        """Check whether the study would be admitted now, before its body is read.

        Raises
        ------
        OverloadedError
        """
        if not self._admission.studies.has_room(self._caller):
            raise self._admission.refuse_study()

    def has_room(self, size: int) -> bool:
        """Return whether it could hold this many bytes in all."""
        more = size - self._bytes
        return more <= 0 or self._admission.bytes.has_room(self._caller, more, atop=self._bytes)

    def hold_bytes(self, size: int) -> None:
        """Hold this many bytes in all, those held before among them.

        A body that comes in pieces is taken where one is that was announced at its length.

        Raises
        ------
        OverloadedError
        """
        more, budget = size - self._bytes, self._admission.bytes
        if more <= 0:
            return
        if not budget.take(self._caller, more, atop=self._bytes):
            raise self._admission.refuse("bytes" if budget.is_full(more) else "caller")
        self._bytes = size

    def take(self) -> None:
        """Take a place among the studies at work, or keep the reserved one.

        Raises
        ------
        OverloadedError
        """
        self._end_reservation()
        if self._has_place:
            return
        self.check()
        self._admission.studies.take(self._caller)
        self._has_place = True

    async def wait(self) -> None:
        """Take a place among the studies at work once there is one.

        Raises
        ------
        OverloadedError
            Too many wait already.
        """
        studies = self._admission.studies
        if studies.waiting >= _LINE_FACTOR * studies.limit:
            raise self._admission.refuse("line")
        await studies.wait(self._caller)
        self._has_place = True

    async def wait_for_bytes(self, size: int) -> None:
        """Hold this many bytes more once there is room; more than there ever is counts as all."""
        amount = min(size, self._admission.bytes.limit)
        await self._admission.bytes.wait(self._caller, amount)
        self._bytes += amount

    def _end_reservation(self) -> None:
        if self._lapse is not None:
            self._lapse.cancel()
            self._lapse = None

    def _give_place(self) -> None:
        if self._has_place:
            self._admission.studies.give(self._caller)
            self._has_place = False
