"""The worker, which tries promised work again until it is done or fails for good.

The state of the work lies in its study's document, the entry points to it, and each step is one
write, so that a gateway may die between any two:

===========  ====================================================================================
promise      what the work needs and its entry are written, then the document has it as pending
postponing   an entry of the new time is written, the document names it, the old entry is removed
end          the document has it no longer, what it needs is removed, then its entry
failure      it is parked, its sender told, its job kept beside its blobs; the document has it as
             failed; its entry is removed
retry        an entry is written, the document has it as pending, the parked item is removed
===========  ====================================================================================

A gateway that finds an entry therefore asks the document first (`WorkStates.standing`). An entry
never decides anything: what was promised is pending in the document until a swap of the document
ends it, so nothing that was accepted is lost, and nothing that was deleted comes back. Where a
gateway died over a postponement two entries are of one piece of work: both may be tried, the first
swap that ends the work counts, and the other gateway finds the work done.

Not the worker of Celery or arq, which come with a broker; see `gateway.work.entries`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, TypeVar

import structlog

from gateway.errors import (
    TRANSIENT,
    DeliveryUnfinishedError,
    GivenUpError,
    RadStreamError,
    StudyBeingDeletedError,
    UnreadableDocumentError,
    log_fields,
)
from gateway.runtime.backoff import Backoff
from gateway.runtime.circuit import Circuit
from gateway.runtime.deadline import Deadline
from gateway.runtime.periodic import repeat
from gateway.work.documents import WorkDocument
from gateway.work.keys import WorkId, parked_key
from gateway.work.states import Standing
from gateway.work.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from gateway.schemas.problem import Problem
    from gateway.work.entries import Entries, Entry
    from gateway.work.parked import Parking
    from gateway.work.states import WorkStates

T = TypeVar("T", bound=WorkDocument)
J_contra = TypeVar("J_contra", bound=WorkDocument, contravariant=True)

log = structlog.get_logger()

_BACKOFF = Backoff(first_s=0.5, longest_s=60.0)
_GRACE_S = 1.0
_NOTING_S = 30.0
# Work that took its gateway along this often, or met an unexpected error, is left alone.
_MOST_BROKEN_OFF = 5
# A gateway that has been promising a piece of work for so long has died over it.
_ABANDONED_S = 3600.0
# Entries that wait for their turn in memory; more are read again.
_MOST_AT_HAND = 256


class Job(Protocol[J_contra]):
    """Handler of pieces of work of one kind."""

    async def perform(self, work: WorkId, document: J_contra, deadline: Deadline) -> None:
        """Do the work.

        Raises
        ------
        RadStreamError
            One of `TRANSIENT`: it is tried again. Another one: it failed for good.
        """
        ...

    async def failed(self, work: WorkId, document: J_contra, problem: Problem) -> None:
        """Handle its failure for good; after an error of this it is tried once more."""
        ...

    async def ended(self, work: WorkId, document: J_contra) -> None:
        """Make up for what is left to do of work whose gateway died after it was done."""
        ...


@dataclass(slots=True)
class _Piece(Generic[T]):
    """Work at hand.

    Parameters
    ----------
    work, due
        Its entry's.
    entry
        As this gateway wrote it, and no other has since.
    share
        Label of the sender whose share of the turns it takes, where that is known.
    ended
        Attempts of this gateway that ended though the store took no note of it.
    """

    work: WorkId
    due: dt.datetime
    entry: Entry[T] | None = None
    share: str = ""
    ended: int = 0


class Worker(Generic[T]):
    """The worker of one kind, for what this gateway took in and what others left.

    Parameters
    ----------
    entries, states, job
        The work, its states in the documents of its studies, and its handler.
    parking
        Parked items, for work that failed for good.
    problem_of
        Says what an error means to the sender.
    count
        Told when each piece of work came that is yet to be done.
    at_once
        Most pieces of work under way at once.
    timeout_s
        Seconds that an attempt may take; less than a claim holds.
    sweep_s
        Seconds between two sweeps for work that other gateways left.
    give_up_s
        Seconds since its first attempt after which no new one is made. Not since it came: work that
        was left while no gateway ran has not been tried, nor has a callback of a study that
        itself took so long.
    abandoned_s
        Seconds after which a promise that is not made is taken for abandoned.
    circuit
        Circuit of the one system that the job calls: while it is open no attempt begins.
    turns
        Its turns, where they are more than `Turns` of this number.
    """

    def __init__(
        self,
        entries: Entries[T],
        states: WorkStates,
        job: Job[T],
        *,
        parking: Parking,
        problem_of: Callable[[RadStreamError], Problem],
        count: Callable[[Sequence[dt.datetime]], None],
        at_once: int,
        timeout_s: float,
        sweep_s: float,
        give_up_s: float,
        abandoned_s: float = _ABANDONED_S,
        circuit: Circuit | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._entries = entries
        self._states = states
        self._job = job
        self._parking = parking
        self._problem_of = problem_of
        self._count = count
        self._turns = turns or Turns(at_once)
        self._timeout_s = timeout_s
        self._sweep_s = sweep_s
        self._give_up_s = give_up_s
        self._abandoned_s = abandoned_s
        self._circuit = circuit or Circuit()
        self._queue: asyncio.Queue[_Piece[T]] = asyncio.Queue()
        self._at_hand: set[WorkId] = set()
        self._unpromised: dict[WorkId, float] = {}

    @contextmanager
    def passing_over(self, work: WorkId) -> Iterator[None]:
        """Keep sweeps of this gateway from the work during the block, in which it is promised."""
        self._at_hand.add(work)
        try:
            yield
        finally:
            self._at_hand.discard(work)

    def take(self, work: WorkId, due: dt.datetime, entry: Entry[T] | None = None) -> None:
        """Begin the work as soon as there is a turn for it.

        Parameters
        ----------
        entry
            Of work that this gateway has just promised.
        """
        share = "" if entry is None else entry.document.share
        if self._queue.qsize() >= _MOST_AT_HAND:
            entry = None
        self._queue.put_nowait(_Piece(work, due, entry, share))

    async def run(self) -> NoReturn:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(repeat(self.sweep, self._sweep_s, failed="backlog.sweep_failed"))
            while True:
                piece = await self._queue.get()
                if piece.work not in self._at_hand:
                    self._at_hand.add(piece.work)
                    group.create_task(self._see_through(piece))

    async def sweep(self) -> None:
        """Take all that is due by now."""
        found = await self._entries.due()
        self._count([work.received_at for work in {work: None for work, _ in found}])
        there = {work for work, _ in found}
        self._unpromised = {w: since for w, since in self._unpromised.items() if w in there}
        now = dt.datetime.now(dt.UTC)
        for work, due in found:
            if due > now:
                break
            if work not in self._at_hand:
                self.take(work, due)

    async def _see_through(self, piece: _Piece[T]) -> None:
        """Try until the work is done, has failed, or is another gateway's."""
        attempts = 0
        try:
            while True:
                pause_s: float | None = _BACKOFF.wait_s(attempts)
                try:
                    async with (
                        self._turns.turn(piece.work.lane, piece.share),
                        self._circuit.turn(),
                    ):
                        pause_s = await self._attempt(piece)
                except RadStreamError as error:  # the store's: nothing could be kept of it
                    piece.entry = None
                    piece.ended += 1
                    log.warning("backlog.postponed", **log_fields(error))
                except Exception:
                    piece.entry = None
                    log.exception("backlog.unexpected_error")
                if pause_s is None:
                    return
                attempts += 1
                await asyncio.sleep(pause_s)
        finally:
            self._at_hand.discard(piece.work)

    async def _attempt(self, piece: _Piece[T]) -> float | None:
        """Return the seconds until the next attempt; None where none is needed."""
        entry = piece.entry or await self._found(piece)
        if entry is None:
            return None
        before = entry.document
        broken_off = max(0, before.broken_off - piece.ended)
        given_up = broken_off >= _MOST_BROKEN_OFF
        claimed = await self._entries.claim(
            entry,
            attempts=before.attempts + (not given_up),
            broken_off=broken_off + 1,
            tried_since=before.tried_since or dt.datetime.now(dt.UTC),
        )
        if claimed is None:
            return None  # another gateway is at it; should it die, the sweep takes it
        piece.entry = None  # until it is known how this attempt ends
        if given_up:
            await self._fail(claimed, GivenUpError(before.attempts))
            return None
        return await self._try(piece, claimed)

    async def _found(self, piece: _Piece[T]) -> Entry[T] | None:
        """Return the entry of work that is to be done and that no gateway is at."""
        work, due = piece.work, piece.due
        try:
            entry = await self._entries.read(work, due)
        except UnreadableDocumentError as error:
            if await self._states.standing(work, tried=False) is Standing.PENDING:
                await self._fail_for_good(work, due, None, error)
            return None
        if entry is None or not await self._entries.is_free(entry):
            return None
        tried = entry.document.tried_since is not None
        standing = await self._states.standing(work, tried=tried)
        if standing is Standing.PENDING:
            return entry
        if standing is not Standing.QUEUED:
            await self._drop(entry, standing)
        return None

    async def _drop(self, entry: Entry[T], standing: Standing) -> None:
        """Remove an entry that has no work to be done."""
        work = entry.work
        untried = entry.document.tried_since is None
        if untried and standing in {Standing.UNPROMISED, Standing.FAILED}:
            now = time.monotonic()  # this gateway's own watch: clocks may be set
            if now - self._unpromised.setdefault(work, now) < self._abandoned_s:
                return
        if standing is Standing.DONE:
            await self._job.ended(work, entry.document)
        if standing is Standing.FAILED:  # what it needs is kept for the operator
            await self._entries.remove(work, entry.due)
        else:
            await self._finish(entry, may_be_parked=True)

    async def _finish(self, entry: Entry[T], *, may_be_parked: bool) -> None:
        """Forget the work, and its entry at last: a gateway that finds it ends it again."""
        work = entry.work
        if may_be_parked:
            await self._parking.clear_work(parked_key(self._entries.kind, work))
        await self._entries.forget(work, entry.document, has_failed=may_be_parked)
        await self._entries.remove(work, entry.due)

    async def _try(self, piece: _Piece[T], entry: Entry[T]) -> float | None:
        work, document = entry.work, entry.document
        try:
            # The job is to end by its own deadline, and to say in which stage; this one stops what
            # does not.
            deadline = Deadline.after(self._timeout_s)
            async with deadline.later(_GRACE_S).bounds("study"):
                await self._job.perform(work, document, deadline)
        except StudyBeingDeletedError:
            log.info("backlog.deleted")
        except asyncio.CancelledError:  # the gateway stops, which is no fault of the work's
            with suppress(RadStreamError):  # which would be taken for a reason to try again
                await self._entries.change(entry, claim=None, broken_off=0)
            raise
        except TRANSIENT as error:
            async with _noting():
                return await self._try_later(piece, entry, error)
        except RadStreamError as error:
            async with _noting():
                await self._fail(entry, error)
                return None
        async with _noting():  # an earlier attempt may have parked it, and got no further
            await self._finish(entry, may_be_parked=document.attempts > 1)
        return None

    async def _try_later(
        self, piece: _Piece[T], entry: Entry[T], error: RadStreamError
    ) -> float | None:
        """Postpone the work, or end it where its time is over or another gateway did it."""
        work, due, document = entry.work, entry.due, entry.document
        if isinstance(error, DeliveryUnfinishedError):
            standing = await self._states.standing(work, tried=True)
            if standing is not Standing.PENDING:
                await self._drop(entry, standing)
                return None
        now = dt.datetime.now(dt.UTC)
        if (now - (document.tried_since or now)).total_seconds() >= self._give_up_s:
            await self._fail(entry, error)
            return None
        pause_s = _BACKOFF.wait_s(document.attempts)
        log.warning("backlog.postponed", **log_fields(error), attempts=document.attempts)
        new = await self._entries.postpone(
            entry, now + dt.timedelta(seconds=pause_s), claim=None, broken_off=0
        )
        if new is None:
            return None
        await self._states.postponed(work, new.due, document.attempts, self._problem_of(error))
        if new.due != due:
            await self._entries.remove(work, due)
        piece.due, piece.entry = new.due, new
        return pause_s

    async def _fail(self, entry: Entry[T], error: RadStreamError) -> None:
        await self._fail_for_good(entry.work, entry.due, entry.document, error)

    async def _fail_for_good(
        self, work: WorkId, due: dt.datetime, document: T | None, error: RadStreamError
    ) -> None:
        """Park the work; without its document there is no caller to tell."""
        item = await self._parking.park_work(parked_key(self._entries.kind, work), error)
        if document is not None:
            await self._job.failed(work, document, item.problem)
        await self._entries.keep_job(work, due, document)
        await self._states.failed(work, document, item)
        await self._entries.remove(work, due)
        log.warning("backlog.parked", parked=item.id, problem=item.problem.type)


def _noting() -> AbstractAsyncContextManager[None]:
    """Bounds the notes of how an attempt ended: a store that hangs must not keep its turn."""
    return Deadline.after(_NOTING_S).bounds("backlog")
