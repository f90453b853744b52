"""The audit trail: who did what to which study, when, and how it ended.

An act is one request, or one piece of the gateway's own work. Whatever handles a study on the way
only names it; the record is made in one place at the act's end.

Not a logger: it goes on when a record is lost, and here an answer waits until its record is safe.
Not aiolimiter for refusals: it delays them, and here they are counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import datetime as dt
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog

from gateway.access.callers import Caller, CallerKind, Scope
from gateway.errors import AuditUnavailableError
from gateway.observability.tracing import trace_id
from gateway.schemas.audit import (
    AuditAction,
    AuditAgent,
    AuditChange,
    AuditOutcome,
    AuditRecord,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.audit.sinks import AuditSink
    from gateway.observability.metrics import Metrics
    from gateway.schemas.audit import AuditDisclosure

log = structlog.get_logger()

# Callers without a valid credential could fill the disk with refusals: beyond these, counted.
_REFUSALS_A_SECOND = 10.0
_REFUSALS_AT_ONCE = 100.0


@dataclass
class Act:
    """The act in progress.

    Parameters
    ----------
    caller
        None as long as the caller is not authenticated.
    scope
        The right that the act asks for; None where it is open to all and goes on no record.
    address
        The address that the request came from.
    request_id
        As it stands in the log and in the answer.
    studies
        The ids of all studies that were handled.
    traces
        The ids of the traces they were handled in: a request has one, a sweep one a delivery.
    partial
        True if images could not be processed, though others of their request were.
    corrects_identity
        True if it corrected the patient or the order of a study.
    unrouted
        Outcome of the rules for images that they refused.
    document, reason, changes
        Of a configuration document: its digest or the fault for which it was refused, and what is
        new in it.
    disclosed
        Results that were sent to a destination.
    tenant
        Tenant whose studies it is about.
    """

    caller: Caller | None = None
    scope: Scope | None = None
    address: str | None = None
    request_id: str | None = None
    studies: dict[str, None] = field(default_factory=dict)
    traces: set[str] = field(default_factory=set)
    partial: bool = False
    corrects_identity: bool = False
    unrouted: str | None = None
    document: str | None = None
    reason: str | None = None
    changes: tuple[AuditChange, ...] = ()
    disclosed: AuditDisclosure | None = None
    tenant: str | None = None

    def trace_id(self) -> str | None:
        """Return the trace of the act, or of all that handled a study; None where many did."""
        return trace_id() or (next(iter(self.traces)) if len(self.traces) == 1 else None)


_acting: ContextVar[Act | None] = ContextVar("act", default=None)


def begin(act: Act) -> None:
    """Make this the act that studies are named to, for the rest of the task."""
    _acting.set(act)


def name_study(study_id: str) -> None:
    """Name a study that the present act handles."""
    act = _acting.get()
    if act is not None:
        act.studies[study_id] = None
        if (trace := trace_id()) is not None:
            act.traces.add(trace)


def note_partial() -> None:
    """Note that the present act succeeds in part only."""
    act = _acting.get()
    if act is not None:
        act.partial = True


def note_correction() -> None:
    """Note that the present act corrects the identity of a study."""
    act = _acting.get()
    if act is not None:
        act.corrects_identity = True


def note_unrouted(outcome: str) -> None:
    """Note that rules refused an image of the present act."""
    act = _acting.get()
    if act is not None:
        act.unrouted = outcome


def note_health_change(pointer: str, *, before: str | None, after: str, reason: str) -> None:
    """Note what the present act changes of a model's health, for the person who does it."""
    act = _acting.get()
    if act is not None:
        act.reason = reason
        act.changes = (AuditChange(pointer=pointer, before=before, after=after),)


def note_tenant(tenant: str) -> None:
    """Note the tenant whose studies the present act is about."""
    act = _acting.get()
    if act is not None:
        act.tenant = tenant


class Audit:
    """The audit trail, which takes the records of acts.

    Parameters
    ----------
    sink
        Takes the records.
    metrics
        Told of records, of those that could not be written and of those left out.
    instance
        Host name of this gateway.
    """

    def __init__(self, sink: AuditSink, metrics: Metrics, *, instance: str) -> None:
        self._trail = _Trail(sink)
        self._metrics = metrics
        self._instance = instance
        self._refusals = _Allowance(_REFUSALS_A_SECOND, _REFUSALS_AT_ONCE)
        self._left_out = 0
        self._tenant: str | None = None

    def of_tenant(self, tenant: str | None) -> Audit:
        """Return the same trail for work on a tenant's studies, which its records name."""
        part = copy.copy(self)
        part._tenant = tenant  # noqa: SLF001 - a copy of its own
        return part

    async def record(
        self,
        act: Act,
        operation: str,
        action: AuditAction,
        outcome: AuditOutcome,
        *,
        status: int | None = None,
        image: int | None = None,
    ) -> None:
        """Return when the act is on record.

        Raises
        ------
        AuditUnavailableError
            It is not; the log and the metrics have been told.
        """
        if act.caller is None and not self._refusals.take():
            self._left_out += 1
            self._metrics.audit.left_out.inc()
            return
        left_out, self._left_out = self._left_out, 0
        caller = act.caller
        record = AuditRecord(
            id=uuid4(),
            recorded_at=dt.datetime.now(dt.UTC),
            operation=operation,
            action=action,
            outcome=outcome,
            status=status,
            agent=caller and AuditAgent(kind=caller.kind, name=caller.name),
            address=act.address,
            studies=tuple(act.studies),
            image=image,
            request_id=act.request_id,
            trace_id=act.trace_id(),
            identity_corrected=act.corrects_identity or None,
            unrouted=act.unrouted,
            document=act.document,
            reason=act.reason,
            changes=act.changes or None,
            disclosed=act.disclosed,
            tenant=act.tenant or self._tenant,
            instance=self._instance,
            left_out=left_out,
        )
        try:
            line = record.model_dump_json(by_alias=True, exclude_none=True)
            await self._trail.write(line.encode() + b"\n")
        except AuditUnavailableError as error:
            self._left_out += left_out
            self._metrics.audit.failures.inc()
            log.exception("audit.not_written", reason=error.reason)
            raise
        self._metrics.audit.records.inc()

    @contextlib.asynccontextmanager
    async def of_work(
        self, operation: str, caller: Caller, action: AuditAction = AuditAction.EXECUTE
    ) -> AsyncIterator[None]:
        """Record what a piece of work that no request waits for does to studies, if to any.

        A record that cannot be written is told to the log and the metrics alone: the work is done,
        and no answer waits for the record.
        """
        context = structlog.contextvars.get_contextvars()
        act = Act(caller=caller, request_id=context.get("request_id"))
        token = _acting.set(act)
        outcome = AuditOutcome.FAILED
        try:
            yield
            outcome = AuditOutcome.PARTIAL if act.partial else AuditOutcome.SUCCESS
        finally:
            _acting.reset(token)
            if act.studies:
                with contextlib.suppress(AuditUnavailableError):  # told by `record`
                    await self.record(act, operation, action, outcome)


GATEWAY = Caller("gateway", frozenset(), CallerKind.GATEWAY)


@dataclass
class _Entry:
    line: bytes
    written: bool = False
    error: AuditUnavailableError | None = None


class _Trail:
    """A writer that writes records that come together at once."""

    def __init__(self, sink: AuditSink) -> None:
        self._sink = sink
        self._writing = asyncio.Lock()
        self._waiting: list[_Entry] = []

    async def write(self, line: bytes) -> None:
        """Return when the line is safe.

        Raises
        ------
        AuditUnavailableError
        """
        entry = _Entry(line)
        self._waiting.append(entry)
        async with self._writing:
            if not entry.written and entry.error is None:
                await self._write_waiting()
        if entry.error is not None:
            raise entry.error

    async def _write_waiting(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            await self._sink.append(b"".join(entry.line for entry in batch))
        except AuditUnavailableError as error:
            for entry in batch:
                entry.error = AuditUnavailableError(error.reason)
        except BaseException:  # stopped midway: the next one writes them, perhaps once more
            self._waiting = batch + self._waiting
            raise
        else:
            for entry in batch:
                entry.written = True


class _Allowance:
    """A rate limit: a number at once, and a number a second."""

    def __init__(self, a_second: float, at_once: float) -> None:
        self._a_second = a_second
        self._at_once = at_once
        self._left = at_once
        self._looked_at = time.monotonic()

    def take(self) -> bool:
        """Take one of the allowance; return False if none was left."""
        now = time.monotonic()
        self._left = min(self._at_once, self._left + (now - self._looked_at) * self._a_second)
        self._looked_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
