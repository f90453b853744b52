"""Opens the monitoring of models in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog

from gateway.errors import StoreError
from gateway.monitoring.merge import HealthMerge
from gateway.monitoring.minutes import MinuteCounts
from gateway.monitoring.silences import Silences
from gateway.work.claims import CLOCK_SKEW_S, Claims
from gateway.work.periodic import Sweep, sweep_for_ever

if TYPE_CHECKING:
    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.stores import Stores
    from gateway.audit.trail import Audit
    from gateway.routing.in_force import Routing

log = structlog.get_logger()


class Monitoring(NamedTuple):
    """Counts of this gateway's readings, and the model versions that are silent."""

    minutes: MinuteCounts
    silences: Silences


async def open_monitoring(
    context: LifespanContext, stores: Stores, audit: Audit, routing: Routing
) -> Monitoring:
    """Return the monitoring; what is in its counts at the end is written then."""
    settings, metrics = context.settings.monitoring, context.metrics.monitoring
    minutes = MinuteCounts(stores.objects, metrics)
    context.stack.push_async_callback(minutes.write, whole_only=False)
    silences = Silences(
        stores.objects, lambda: routing.document.stop_rules, audit=audit, metrics=metrics
    )
    try:
        await silences.refresh()
    except StoreError as error:  # no study is processed before it answers
        log.warning("monitoring.silences_unknown", error=error.label)
    # Who merges goes on merging: its claim outlives its next sweep.
    claims = Claims(lease_s=3 * settings.sweep_s + CLOCK_SKEW_S, presence=stores.presence)
    merge = HealthMerge(
        stores.objects,
        minutes,
        claims,
        metrics,
        silences=silences,
        reference_readings=settings.reference_readings,
    )
    work = sweep_for_ever(Sweep.MONITORING, merge, audit, settings.sweep_s)
    await context.run("monitoring", work)
    return Monitoring(minutes, silences)
