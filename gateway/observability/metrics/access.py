"""Metrics of authentication and of the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from gateway.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

_REASONS = (
    *("missing", "ambiguous", "scope", "issuer_unavailable"),
    *(refusal.name.lower() for refusal in Refusal),
)


class AccessMetrics:
    """Callers and credentials."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "radstream_auth_failures_total",
            "Requests refused by authentication or authorization, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in _REASONS:
            self.failures.labels(reason)
        self.key_file_valid = Gauge(
            "radstream_key_file_valid",
            "1 while the key file's current content is in use, 0 while a stale one is.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.key_file_valid.set(1)  # there is nothing older before the first change
        self.issuer_fetches = Counter(
            "radstream_issuer_key_fetches_total",
            "Fetches of the token issuer's signing keys, by outcome.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("succeeded", "failed"):
            self.issuer_fetches.labels(outcome)
        self.credential_expires = Gauge(
            "radstream_credential_expires_timestamp_seconds",
            "Expiry time of a credential: the certificate, or a key by its id.",
            ["credential"],
            registry=registry,
            multiprocess_mode="livemin",
        )

    def keep_expiries(self, prefix: str, ends: Mapping[str, float]) -> None:
        """Set the expiries of the credentials of this prefix: names and Unix times in seconds."""
        [family] = self.credential_expires.collect()
        for sample in family.samples:
            name = sample.labels["credential"]
            if name.startswith(prefix) and name not in ends:
                self.credential_expires.remove(name)
        for name, end in ends.items():
            self.credential_expires.labels(name).set(end)


class AuditMetrics:
    """The audit trail."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.records = Counter(
            "radstream_audit_records_total",
            "Records written to the audit trail.",
            registry=registry,
        )
        self.failures = Counter(
            "radstream_audit_failures_total",
            "Audit records that could not be written; their requests were not answered.",
            registry=registry,
        )
        self.left_out = Counter(
            "radstream_audit_left_out_total",
            "Refusals of unauthenticated callers beyond those that are recorded one by one.",
            registry=registry,
        )
