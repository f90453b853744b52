"""Opens the monitoring of models in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.monitoring.merge import HealthMerge
from gateway.monitoring.minutes import MinuteCounts
from gateway.work.claims import CLOCK_SKEW_S, Claims
from gateway.work.periodic import Sweep, sweep_for_ever

if TYPE_CHECKING:
    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.stores import Stores
    from gateway.audit.trail import Audit


async def open_monitoring(context: LifespanContext, stores: Stores, audit: Audit) -> MinuteCounts:
    """Return the counts of this gateway's readings; what is in them at the end is written then."""
    settings, metrics = context.settings.monitoring, context.metrics.monitoring
    minutes = MinuteCounts(stores.objects, metrics)
    context.stack.push_async_callback(minutes.write, whole_only=False)
    # Who merges goes on merging: its claim outlives its next sweep.
    claims = Claims(lease_s=3 * settings.sweep_s + CLOCK_SKEW_S, presence=stores.presence)
    merge = HealthMerge(
        stores.objects,
        minutes,
        claims,
        metrics,
        reference_readings=settings.reference_readings,
    )
    work = sweep_for_ever(Sweep.MONITORING, merge, audit, settings.sweep_s)
    await context.run("monitoring", work)
    return minutes
