"""Lanes of dropped files, as far as a sidecar tells before the image is read."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway.errors import RadStreamError
from gateway.routing.conditions import Facts
from gateway.schemas.metadata import parse_document
from gateway.schemas.routing_rules import Lane

if TYPE_CHECKING:
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.routing.in_force import Routing


class Place(NamedTuple):
    """Place of a file among those that wait: its lane, and the sender whose share it takes."""

    lane: Lane = Lane.ROUTINE
    sender: str = ""


class DroppedLanes:
    """Lanes of files that wait for their turns, by the rules.

    Once an image is read the rules are asked again, with all that it says: its steps take turns by
    that (`gateway.work.turns`). A rule about DICOM attributes does not hold here.

    Parameters
    ----------
    inbox
        Reads sidecars.
    routing
        The whole routing document.
    """

    def __init__(self, inbox: Inbox, routing: Routing) -> None:
        self._inbox = inbox
        self._routing = routing

    async def place(self, dropped: Dropped) -> Place:
        """Return the place of a file."""
        routes = self._routing.routes
        path = self._inbox.path_of(dropped)
        sender = routes.senders.name_of_object(path)
        otherwise = routes.document.otherwise
        if not any(part.lane for part in (*routes.rules.all, *([otherwise] if otherwise else []))):
            return Place(sender=sender)
        facts = Facts(
            metadata=await self._metadata(dropped),
            received_at=dt.datetime.now(dt.UTC),
            route=self._inbox.route.value,
            sender=sender,
            tenant=routes.senders.tenant_of_object(path),
        )
        return Place(routes.rules.decide(facts).lane, sender)

    async def _metadata(self, dropped: Dropped) -> dict[str, Any]:
        """Return the metadata document; without one, what the folder's name says."""
        known = {} if dropped.study_folder is None else {"study_id": dropped.study_folder}
        try:
            document = await self._inbox.document(dropped)
            return known if document is None else known | parse_document(document.data)
        except RadStreamError:  # told when it is delivered
            return known
