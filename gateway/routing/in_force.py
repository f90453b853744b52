"""The routing document in force, which a later one replaces as a whole."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

from gateway.routing.rules import Rules
from gateway.routing.senders import Senders
from gateway.schemas.routing import RoutingDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

NO_ROUTING = RoutingDocument.model_validate({"schema": "radstream.routing/1"})
"""The document of a gateway that has none."""


class Routes:
    """A routing document, ready for use.

    Parameters
    ----------
    document
        The document.
    rolled_back
        See `Rules`.
    tenant
        The tenant for which it holds; None for all.

    Attributes
    ----------
    senders, rules
        Those that it names.
    digest
        See `digest_of`.
    """

    def __init__(
        self,
        document: RoutingDocument,
        rolled_back: Collection[str] = (),
        tenant: str | None = None,
    ) -> None:
        self.document = document
        self._tenant = tenant
        self.senders = Senders(document)
        self.rules = Rules(document, rolled_back)
        self.digest = digest_of(document)

    def tenant_of(self, sender: str) -> str | None:
        """Return the tenant of a sender's images, even of one that the document had before."""
        return self._tenant or self.senders.tenant_of_name(sender)


class Routing:
    """The routing document in force, and whoever follows its changes.

    Parameters
    ----------
    document
        The document at the start; None where there is to be none.
    tenant
        See `Routes`.

    Attributes
    ----------
    rolled_back
        Keys of canaries that read nothing, whichever document is in force.
    since
        Time from which the document has been in force.
    fault
        Reason why the present content of its place is not; None where it is.
    """

    def __init__(self, document: RoutingDocument | None = None, tenant: str | None = None) -> None:
        self.is_set = document is not None
        self.tenant = tenant
        self.rolled_back: set[str] = set()
        self.routes = self.routes_of(document or NO_ROUTING)
        self.since = dt.datetime.now(dt.UTC)
        self.fault: str | None = None
        self._followers: list[Callable[[Routes], None]] = []

    @property
    def document(self) -> RoutingDocument:
        """The document in force."""
        return self.routes.document

    def routes_of(self, document: RoutingDocument) -> Routes:
        """Return another document as it would hold here."""
        return Routes(document, self.rolled_back, self.tenant)

    def follow(self, follower: Callable[[Routes], None]) -> None:
        """Call the follower with the routes that hold from each change on."""
        self._followers.append(follower)

    def replace(self, document: RoutingDocument) -> None:
        """Put another document in force."""
        self.routes = self.routes_of(document)
        self.since = dt.datetime.now(dt.UTC)
        for follower in self._followers:
            follower(self.routes)


def written_form(document: RoutingDocument) -> dict[str, Any]:
    """Return a document as it was written, without what it leaves to defaults."""
    return document.model_dump(mode="json", by_alias=True, exclude_unset=True)


def digest_of(document: RoutingDocument) -> str:
    """Return the first half of the SHA-256 of a document, whatever the order in its file."""
    form = document.model_dump_json(by_alias=True, exclude_unset=True)
    return hashlib.sha256(form.encode()).hexdigest()[:32]
