"""Roll-back of canaries by themselves: on record in the store, where all gateways find it.

A canary that is rolled back stays so until a person edits its model in the routing document: it is
known by a hash of that entry.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Literal, NoReturn

import structlog
from pydantic import AwareDatetime, Field

from gateway.audit.trail import GATEWAY, Act
from gateway.errors import (
    AuditUnavailableError,
    StoreUnavailableError,
    UnreadableDocumentError,
    log_fields,
)
from gateway.routing.canary import canary_key
from gateway.schemas.audit import AuditAction, AuditChange, AuditOutcome
from gateway.schemas.stored_document import StoredDocument
from gateway.storage.documents import create_document, read_or_none
from gateway.storage.layout import ROLL_BACKS

if TYPE_CHECKING:
    from gateway.audit.trail import Audit
    from gateway.observability.metrics import Metrics
    from gateway.routing.canary_watch import CanaryWatch
    from gateway.routing.in_force import Routing
    from gateway.schemas.routing_rules import RuleModel
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

_OPERATION = "canary: roll back"


class RolledBack(StoredDocument):
    """A canary that was rolled back."""

    schema_: Literal["radstream.roll-back/1"] = Field("radstream.roll-back/1", alias="schema")
    model: str
    version: str
    reason: str
    at: AwareDatetime


class RollBacks:
    """Roll-backs of this gateway, and those of the others.

    Parameters
    ----------
    routing, watch
        The document in force, and the watch over its canaries.
    objects
        The store that all gateways share.
    audit, metrics
        Told of each roll-back, by the gateway that did it first.
    every_s
        Seconds between two looks for the roll-backs of others.
    """

    def __init__(
        self,
        routing: Routing,
        watch: CanaryWatch,
        *,
        objects: ObjectStore,
        audit: Audit,
        metrics: Metrics,
        every_s: float,
    ) -> None:
        self._routing = routing
        self._watch = watch
        self._objects = objects
        self._audit = audit
        self._gauge = metrics.routing.canary_rolled_back
        self._every_s = every_s
        self._due = asyncio.Event()
        self._breaches: list[tuple[RuleModel, str]] = []
        watch.on_many = self._due.set
        routing.follow(lambda _: self._due.set())

    async def run(self) -> NoReturn:
        """Put roll-backs on record, and take up those of others, for ever."""
        while True:
            self._due.clear()
            try:
                await self._look()
            except StoreUnavailableError as error:  # in force here all the same, and tried again
                log.warning("canary.roll_back_not_stored", **log_fields(error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._due.wait()

    async def _look(self) -> None:
        for model, reason in await self._watch.breaches():
            self._routing.rolled_back.add(canary_key(model))
            self._breaches.append((model, reason))
        while self._breaches:
            await self._record(*self._breaches[0])
            self._breaches.pop(0)
        for model in self._watch.canaries:
            key = canary_key(model)
            if key not in self._routing.rolled_back:
                with contextlib.suppress(UnreadableDocumentError):  # it is there: logged
                    if await read_or_none(self._objects, RolledBack, _place(key)) is None:
                        continue
                self._routing.rolled_back.add(key)
        self._show()

    async def _record(self, model: RuleModel, reason: str) -> None:
        name, version = _canary(model)
        document = RolledBack(
            model=name, version=version, reason=reason, at=dt.datetime.now(dt.UTC)
        )
        if not await create_document(self._objects, _place(canary_key(model)), document):
            return  # another gateway was first
        log.warning("canary.rolled_back", model=name, version=version, reason=reason)
        change = AuditChange(
            pointer=f"/models/{model.name}/canary",
            before=model.model_dump_json(by_alias=True, exclude_unset=True),
        )
        digest = self._routing.routes.digest
        act = Act(caller=GATEWAY, document=digest, reason=reason, changes=(change,))
        with contextlib.suppress(AuditUnavailableError):  # told to the log and the metrics
            await self._audit.record(act, _OPERATION, AuditAction.UPDATE, AuditOutcome.SUCCESS)

    def _show(self) -> None:
        self._gauge.clear()
        for model in self._watch.canaries:
            is_back = canary_key(model) in self._routing.rolled_back
            self._gauge.labels(*_canary(model)).set(is_back)


def _canary(model: RuleModel) -> tuple[str, str]:
    canary = model.canary
    if canary is None:
        raise ValueError("a model without a canary")
    return canary.name or model.name, canary.version


def _place(key: str) -> str:
    return f"{ROLL_BACKS}{key}.json"
