"""Opens the routing document, and follows it in its place."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import GATEWAY, Act
from gateway.errors import AuditUnavailableError
from gateway.routing.changes import changes as changes_between
from gateway.routing.document import RoutingFileError, judged
from gateway.routing.in_force import Routing
from gateway.routing.sources import source_of
from gateway.schemas.audit import AuditAction, AuditOutcome

if TYPE_CHECKING:
    from gateway.app.lifespan.context import LifespanContext
    from gateway.audit.trail import Audit
    from gateway.routing.sources import RoutingSource
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

_READ = "routing document: read"
_CHANGE = "routing document: change"


async def open_routing(context: LifespanContext, audit: Audit, objects: ObjectStore) -> Routing:
    """Return the routing document, which is followed from now on.

    Parameters
    ----------
    objects
        The store, whole.

    Raises
    ------
    RoutingFileError
        There is to be one, and it cannot be read.
    StoreUnavailableError
    """
    source = source_of(context.settings.routing, objects)
    if source is None:
        return Routing()
    routing = Routing(judged(await source.read(), context.settings.tenancy.tenants))
    act = Act(caller=GATEWAY, document=routing.routes.digest)
    await _record(audit, act, _READ, AuditAction.READ)
    await context.run("routing document", _follow(source, routing, context, audit))
    return routing


async def _follow(
    source: RoutingSource, routing: Routing, context: LifespanContext, audit: Audit
) -> None:
    """Take the document whenever it changes; a broken one leaves the last good one."""
    valid = context.metrics.routing.file_valid
    async for content in source.contents():
        try:
            if isinstance(content, RoutingFileError):
                raise content
            document = judged(content, context.settings.tenancy.tenants)
        except RoutingFileError as error:
            valid.set(0)
            routing.fault = str(error)
            log.exception("routing.file_broken", reason=str(error))
            act = Act(caller=GATEWAY, reason=str(error))
            await _record(audit, act, _CHANGE, AuditAction.UPDATE, AuditOutcome.REFUSED)
            continue
        valid.set(1)
        routing.fault = None
        found = changes_between(routing.document, document)
        if not found:
            continue
        routing.replace(document)
        digest = routing.routes.digest
        log.info("routing.changed", document=digest, changes=len(found))
        act = Act(caller=GATEWAY, document=digest, changes=found)
        await _record(audit, act, _CHANGE, AuditAction.UPDATE)


async def _record(
    audit: Audit,
    act: Act,
    operation: str,
    action: AuditAction,
    outcome: AuditOutcome = AuditOutcome.SUCCESS,
) -> None:
    with contextlib.suppress(AuditUnavailableError):  # told to the log and the metrics
        await audit.record(act, operation, action, outcome)
