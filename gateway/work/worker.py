"""Sees the work of a backlog through: again and again, until it is done or fails for good.

Not the worker of Celery or arq, which come with a broker; see `gateway.work.backlog`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, NoReturn, Protocol, TypeVar

import structlog
from pydantic import BaseModel

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
from gateway.runtime.deadline import Deadline
from gateway.runtime.periodic import repeat
from gateway.work.documents import Failure, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from gateway.schemas.problem import Problem
    from gateway.work.backlog import Backlog, Work
    from gateway.work.parked import Parking

T = TypeVar("T", bound=BaseModel)
J_contra = TypeVar("J_contra", bound=BaseModel, contravariant=True)

log = structlog.get_logger()

_BACKOFF = Backoff(first_s=0.5, longest_s=60.0)
_GRACE_S = 1.0
_NOTING_S = 30.0
# Work that took its gateway along this often, or met an error that nobody foresaw, is left alone.
_MOST_BROKEN_OFF = 5


class Job(Protocol[J_contra]):
    """Handler of pieces of work of one kind."""

    async def perform(self, work: Work, document: J_contra, deadline: Deadline) -> None:
        """Do it.

        Raises
        ------
        RadStreamError
            One of `TRANSIENT`: it is tried again. Another one: it failed for good.
        """
        ...

    async def failed(self, work: Work, document: J_contra, problem: Problem) -> None:
        """Take note that it failed for good; what this raises has it tried once more."""
        ...


class Worker(Generic[T]):
    """Does the work that this gateway took in, and what others left.

    Parameters
    ----------
    backlog, job
        The work, and how it is done.
    parking
        Where the operator finds what failed for good.
    problem_of
        Says what an error means to the sender.
    count
        Told when each piece of work came that is yet to be done.
    at_once
        How many pieces may be under way at once.
    timeout_s
        Seconds that an attempt may take; less than a lease holds.
    sweep_s
        Seconds between two looks for work that somebody left.
    give_up_s
        Seconds since its first attempt after which no new one is made. Not since it came: work that
        was left while no gateway ran has been tried by nobody, nor has a callback of a study that
        itself took so long.
    """

    def __init__(
        self,
        backlog: Backlog[T],
        job: Job[T],
        *,
        parking: Parking,
        problem_of: Callable[[RadStreamError], Problem],
        count: Callable[[Sequence[dt.datetime | None]], None],
        at_once: int,
        timeout_s: float,
        sweep_s: float,
        give_up_s: float,
    ) -> None:
        self._backlog = backlog
        self._job = job
        self._parking = parking
        self._problem_of = problem_of
        self._count = count
        self._turns = asyncio.Semaphore(at_once)
        self._timeout_s = timeout_s
        self._sweep_s = sweep_s
        self._give_up_s = give_up_s
        self._queue: asyncio.Queue[Work] = asyncio.Queue()
        self._at_hand: set[str] = set()

    def take(self, work: Work) -> None:
        """Have the work begun as soon as there is a turn for it."""
        self._queue.put_nowait(work)

    async def run(self) -> NoReturn:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(repeat(self.sweep, self._sweep_s, failed="backlog.sweep_failed"))
            while True:
                work = await self._queue.get()
                if work.path not in self._at_hand:
                    self._at_hand.add(work.path)
                    group.create_task(self._see_through(work))

    async def sweep(self) -> None:
        """Take all that is yet to be done."""
        open_work = [work for work in await self._backlog.survey() if not work.failed]
        self._count([work.came_at for work in open_work])
        for work in open_work:
            self.take(work)

    async def _see_through(self, work: Work) -> None:
        """Try until the work is done, has failed, or is another gateway's."""
        attempts = 0
        ended = 0  # of ours, though the store took no note of their end
        try:
            while True:
                pause_s: float | None = _BACKOFF.wait_s(attempts)
                try:
                    pause_s = await self._attempt(work, ended)
                except DeliveryUnfinishedError:
                    return  # another gateway is at it; should it die, the sweep takes it
                except RadStreamError as error:  # the store's: nothing could be kept of it
                    ended += 1
                    log.warning("backlog.postponed", **log_fields(error))
                except Exception:
                    log.exception("backlog.unexpected_error")
                if pause_s is None:
                    return
                attempts += 1
                await asyncio.sleep(pause_s)
        finally:
            self._at_hand.discard(work.path)

    async def _attempt(self, work: Work, ended: int) -> float | None:
        """Seconds until the next attempt; None where none is needed."""
        async with self._turns, self._backlog.held(work):
            try:
                found = await self._backlog.begun(work)
            except UnreadableDocumentError as error:
                await self._fail(work, None, Progress(), error)
                return None
            if found is None:
                return None
            document, progress = found
            if wait_s := progress.wait_s():
                return wait_s
            broken_off = max(0, progress.broken_off - ended)
            if broken_off >= _MOST_BROKEN_OFF:
                await self._fail(work, document, progress, GivenUpError(progress.attempts))
                return None
            begun = progress.model_copy(
                update={
                    "attempts": progress.attempts + 1,
                    "broken_off": broken_off + 1,
                    "tried_since": progress.tried_since or dt.datetime.now(dt.UTC),
                }
            )
            return await self._try(work, document, begun)

    async def _try(self, work: Work, document: T, begun: Progress) -> float | None:
        await self._backlog.note(work, begun)
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
                await self._backlog.note(work, begun.model_copy(update={"broken_off": 0}))
            raise
        except TRANSIENT as error:
            async with _noting():
                if not self._is_overdue(begun):
                    return await self._postpone(work, begun, error)
                await self._fail(work, document, begun, error)
                return None
        except RadStreamError as error:
            async with _noting():
                await self._fail(work, document, begun, error)
                return None
        async with _noting():
            if begun.attempts > 1:  # it may have been parked by an attempt that came no further
                await self._parking.clear_work(self._backlog.key(work))
            await self._backlog.finish(work)
        return None

    async def _postpone(self, work: Work, begun: Progress, error: RadStreamError) -> float:
        pause_s = _BACKOFF.wait_s(begun.attempts)
        log.warning("backlog.postponed", **log_fields(error), attempts=begun.attempts)
        progress = Progress(
            attempts=begun.attempts,
            tried_since=begun.tried_since,
            not_before=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=pause_s),
            problem=self._problem_of(error),
        )
        await self._backlog.note(work, progress)
        return pause_s

    async def _fail(
        self, work: Work, document: T | None, progress: Progress, error: RadStreamError
    ) -> None:
        """Park the work; without its document there is no caller to tell."""
        item = await self._parking.park_work(self._backlog.key(work), error)
        if document is not None:
            await self._job.failed(work, document, item.problem)
        await self._backlog.fail(
            work,
            Failure(
                failed_at=item.parked_at,
                attempts=progress.attempts,
                parked=item.id,
                problem=item.problem,
            ),
        )
        log.warning("backlog.parked", parked=item.id, problem=item.problem.type)

    def _is_overdue(self, begun: Progress) -> bool:
        now = dt.datetime.now(dt.UTC)
        return (now - (begun.tried_since or now)).total_seconds() >= self._give_up_s


def _noting() -> AbstractAsyncContextManager[None]:
    """Bounds the notes of how an attempt ended: a store that hangs must not keep its turn."""
    return Deadline.after(_NOTING_S).bounds("backlog")
