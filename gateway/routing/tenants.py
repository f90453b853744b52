"""The routing document as it holds for one tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.routing.in_force import Routes, Routing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from gateway.schemas.routing import RoutingDocument


def tenant_faults(document: RoutingDocument, tenants: Collection[str] | None) -> Iterator[str]:
    """Yield what keeps a document from being in force beside these tenants.

    Where there are tenants, what names none could be anybody's: it is refused, and with it the
    whole document. So is a tenant that the gateway does not have.

    Parameters
    ----------
    tenants
        Those of the settings; none where studies belong to no tenant. None away from any gateway:
        those that the document names.
    """
    named: dict[str, str | None] = {}
    if tenants is None:
        all_items = (*document.senders, *document.destinations)
        tenants = {item.tenant for item in all_items if item.tenant is not None}
    for kind, items in (
        ("senders", document.senders),
        ("destinations", document.destinations),
        ("quotas", document.quotas),
    ):
        for index, item in enumerate(items):
            if item.tenant is None and tenants:
                yield f"/{kind}/{index}: names no tenant"
            elif item.tenant is not None and item.tenant not in tenants:
                yield f"/{kind}/{index}: its tenant is none of RADSTREAM_TENANCY__TENANTS"
    for index, sender in enumerate(document.senders):
        if named.setdefault(sender.name, sender.tenant) != sender.tenant:
            yield f"/senders/{index}: another sender of this name has another tenant"


def routing_of(routing: Routing, tenant: str | None) -> Routing:
    """Return the routing of one tenant, which follows the whole document.

    Parameters
    ----------
    tenant
        Name of the tenant; None returns the whole.
    """
    if tenant is None:
        return routing
    part = Routing(_narrowed(routing.document, tenant), tenant)

    def take(routes: Routes) -> None:
        part.replace(_narrowed(routes.document, tenant))

    routing.follow(take)
    return part


def _narrowed(document: RoutingDocument, tenant: str) -> RoutingDocument:
    """Return the document less senders, destinations and quotas of other tenants."""
    destinations = tuple(each for each in document.destinations if each.tenant == tenant)
    names = {each.name for each in destinations}
    rules = tuple(
        rule.model_copy(
            update={"destinations": tuple(name for name in rule.destinations if name in names)}
        )
        for rule in document.rules
    )
    otherwise = document.otherwise and document.otherwise.model_copy(
        update={
            "destinations": tuple(name for name in document.otherwise.destinations if name in names)
        }
    )
    return document.model_copy(
        update={
            "senders": tuple(each for each in document.senders if each.tenant == tenant),
            "destinations": destinations,
            "quotas": tuple(each for each in document.quotas if each.tenant == tenant),
            "rules": rules,
            "otherwise": otherwise,
        }
    )
