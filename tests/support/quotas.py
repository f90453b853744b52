"""Quota of a tenant, for what takes studies of it."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from gateway.admission.day_counts import TenantDay
from gateway.admission.tenant_quota import TenantQuota
from gateway.observability.metrics import Metrics
from gateway.schemas.routing import Quota
from tests.support.store import MemoryStore


def quota_of(limits: Mapping[str, int]) -> TenantQuota:
    """The quota of a tenant, whose limits may change."""
    return TenantQuota(
        "north",
        lambda: Quota.model_validate({"tenant": "north", **limits}),
        Metrics(CollectorRegistry()),
        day=TenantDay(MemoryStore()),
    )
