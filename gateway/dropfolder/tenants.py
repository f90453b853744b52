"""Deliveries of a drop folder that tenants share: each object to the tenant whose folder it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.audit.trail import note_tenant
from gateway.schemas.events import Delivery, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.runtime.deadline import Deadline

log = structlog.get_logger()


class ObjectIntake(Protocol):
    """Intake of objects; see `Deliveries`."""

    async def deliver(
        self,
        key: str,
        version_id: str | None = None,
        deadline: Deadline | None = None,
        *,
        tag: str | None = None,
    ) -> Delivery:
        """Return the outcome of an object that came to the drop folder."""
        ...


class TenantDeliveries:
    """Deliveries by tenant, for whoever brings the events of all.

    Parameters
    ----------
    deliveries
        By tenant.
    tenant_of
        Tells the tenant of an object by its key; None where it is nobody's.
    pseudonyms
        Name objects in the log.
    """

    def __init__(
        self,
        deliveries: Mapping[str, ObjectIntake],
        tenant_of: Callable[[str], str | None],
        pseudonyms: Pseudonyms,
    ) -> None:
        self._deliveries = deliveries
        self._tenant_of = tenant_of
        self._pseudonyms = pseudonyms

    async def deliver(
        self,
        key: str,
        version_id: str | None = None,
        deadline: Deadline | None = None,
        *,
        tag: str | None = None,
    ) -> Delivery:
        """See `Deliveries.deliver`; an object outside of every tenant's folders is left alone."""
        tenant = self._tenant_of(key)
        if tenant is None:
            log.warning("dropfolder.no_tenant", object_ref=self._pseudonyms.study_ref(key))
            return Delivery(
                outcome=Outcome.IGNORED, detail="It lies in the folder of no sender with a tenant."
            )
        note_tenant(tenant)
        return await self._deliveries[tenant].deliver(key, version_id, deadline, tag=tag)
