"""Metrics of the DICOM listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry


class DimseMetrics:
    """Connections, associations and instances of the DICOM listener."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connections_ended = Counter(
            "radstream_dimse_connections_ended_total",
            "Connections that ended before their association request was whole, by reason.",
            ["reason"],
            registry=registry,
        )
        self.associations = Counter(
            "radstream_dimse_associations_total",
            "Association requests, by outcome: accepted, or the reason of the rejection.",
            ["outcome"],
            registry=registry,
        )
        self.open_associations = Gauge(
            "radstream_dimse_open_associations",
            "Associations open now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.instances = Counter(
            "radstream_dimse_instances_total",
            "Instances answered, by status of the C-STORE response: 0000 is stored.",
            ["status"],
            registry=registry,
        )
        self.commitment_requests = Counter(
            "radstream_dimse_commitment_requests_total",
            "Requests for storage commitment, by status of the N-ACTION response: 0000 is taken.",
            ["status"],
            registry=registry,
        )
        self.commitment_reports = Counter(
            "radstream_dimse_commitment_reports_total",
            "Ends of reports on storage commitment: taken or refused by the sender, or given_up.",
            ["outcome"],
            registry=registry,
        )
        self.owed_reports = Gauge(
            "radstream_dimse_owed_commitment_reports",
            "Reports on storage commitment that no sender has taken yet.",
            registry=registry,
            multiprocess_mode="livemax",
        )

    def expect(
        self,
        *,
        ends: Iterable[str],
        outcomes: Iterable[str],
        statuses: Iterable[str],
        actions: Iterable[str],
    ) -> None:
        """Show every label's series from the start, at 0."""
        for reason in ends:
            self.connections_ended.labels(reason)
        for outcome in outcomes:
            self.associations.labels(outcome)
        for status in statuses:
            self.instances.labels(status)
        for action in actions:
            self.commitment_requests.labels(action)
        for outcome in ("taken", "refused", "given_up"):
            self.commitment_reports.labels(outcome)
