"""Metrics of the routing document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class RoutingMetrics:
    """The routing document and its use."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.file_valid = Gauge(
            "radstream_routing_file_valid",
            "1 while the routing document's current content is in use, 0 while a stale one is.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.file_valid.set(1)  # there is nothing older before the first change
        self.images = Counter(
            "radstream_routed_images_total",
            "Decisions on images by the rules, by outcome: contracts where there are no rules. An "
            "image that is accepted first and processed later is decided on twice.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("contracts", "rules", "otherwise", "no_rule", "kept_out"):
            self.images.labels(outcome)
        self.owed_readings = Gauge(
            "radstream_owed_readings",
            "Requests of which models are asked again for readings that they owe, in the whole "
            "store at the last sweep.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.canary_rolled_back = Gauge(
            "radstream_canary_rolled_back",
            "1 while a canary of the routing document is rolled back, by its model; 0 while it "
            "reads. Only canaries with `roll_back`.",
            ["model", "version"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.rules = Counter(
            "radstream_rule_images_total",
            "Decisions on images in which a rule of the routing document applied, by rule.",
            ["rule"],
            registry=registry,
        )
