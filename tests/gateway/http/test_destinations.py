"""A caller of a tenant sees the destinations of its own document alone."""

from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.http.dependencies import Gateway
from gateway.http.destinations import states_of
from gateway.observability.metrics import Metrics
from gateway.routing.in_force import Routing
from tests.support.delivery import dicom, routing


def test_lines_of_other_tenants_are_hidden():
    metrics = Metrics(CollectorRegistry())
    for name in ("pacs", "vna"):
        metrics.delivery.expect(name)
    metrics.delivery.keep_parked({"pacs": 1, "vna": 1})
    whole: dict[str, Any] = {"metrics": metrics, "routing": Routing(routing(dicom("pacs", 104)))}
    gateway = Gateway(**{**dict.fromkeys(Gateway.__dataclass_fields__), **whole})
    assert [each.name for each in states_of(gateway)] == ["pacs", "vna"]
    assert [each.name for each in states_of(replace(gateway, tenant="north"))] == ["pacs"]
