"""The state of a destination is the worst that the metrics tell of it."""

import datetime as dt
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.delivery.destination_states import DestinationState, Health, destination_states
from gateway.observability.metrics import Metrics
from gateway.schemas.routing import RoutingDocument
from tests.support.delivery import dicom, routing, web

DOCUMENT = routing(dicom("pacs", 104), web("vna", "https://vna.example.org/dicom-web"))


@pytest.fixture
def metrics() -> Metrics:
    found = Metrics(CollectorRegistry())
    for name in ("pacs", "vna"):
        found.delivery.expect(name)
    return found


def states(metrics: Metrics, document: RoutingDocument = DOCUMENT) -> dict[str, DestinationState]:
    return {state.name: state for state in destination_states(metrics, document)}


def test_counts_are_those_of_the_metrics(metrics: Metrics):
    delivery = metrics.delivery
    wait("pacs", 5, metrics)
    delivery.attempts.labels("pacs", "confirmed").inc(2)
    delivery.attempts.labels("pacs", "acknowledged").inc()
    delivery.attempts.labels("pacs", "refused").inc(4)
    found = states(metrics)
    pacs = found["pacs"]
    assert (pacs.waiting, pacs.parked, pacs.brought, pacs.failed) == (1, 0, 3, 4)
    assert pacs.oldest_s >= 300
    assert pacs.health is Health.WELL
    assert (found["vna"].health, found["vna"].waiting) == (Health.UNUSED, 0)


def wait(name: str, minutes: float, metrics: Metrics) -> None:
    """Have a result wait for a destination since so many minutes."""
    since = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
    metrics.delivery.keep_waiting(name, [since])


@pytest.mark.parametrize(
    ("confirmed", "refused", "minutes", "health"),
    [
        (0, 0, 5, "unused"),
        (0, 18, 5, "failing"),
        (0, 18, None, "failing"),
        (1, 18, 5, "well"),
        (1, 0, 14.9, "well"),
        (1, 0, 15.1, "failing"),
        (0, 0, 15.1, "failing"),
    ],
)
def test_a_destination_that_takes_nothing_or_not_all_is_failing(
    metrics: Metrics, confirmed: int, refused: int, minutes: float | None, health: str
):
    metrics.delivery.attempts.labels("pacs", "confirmed").inc(confirmed)
    metrics.delivery.attempts.labels("pacs", "refused").inc(refused)
    if minutes is not None:
        wait("pacs", minutes, metrics)
    assert states(metrics)["pacs"].health == health
    metrics.delivery.keep_parked({"pacs": 1})
    assert states(metrics)["pacs"].health is Health.PARKED


def test_the_worst_counts(metrics: Metrics):
    metrics.delivery.attempts.labels("pacs", "confirmed").inc()
    metrics.delivery.keep_parked({"pacs": 2})
    assert states(metrics)["pacs"].health is Health.PARKED
    metrics.delivery.circuit_open.labels("pacs").set(1)
    assert states(metrics)["pacs"].health is Health.SILENT
    assert states(metrics, routing())["pacs"].health is Health.GONE


def test_one_that_is_gone_is_told_of_as_long_as_something_is_left_for_it(metrics: Metrics):
    assert list(states(metrics, routing())) == []
    metrics.delivery.keep_parked({"pacs": 1})
    assert list(states(metrics, routing())) == ["pacs"]


def test_lines_of_other_tenants_are_not_told(metrics: Metrics):
    metrics.delivery.keep_parked({"pacs": 1, "vna": 1})
    own = routing(dicom("pacs", 104))
    assert [each.name for each in destination_states(metrics, own)] == ["pacs", "vna"]
    [only] = destination_states(metrics, own, is_shared=True)
    assert only.name == "pacs"


@pytest.mark.parametrize(
    ("destination", "address"),
    [
        (dicom("a", 104, ae_title="PACS"), "PACS · 127.0.0.1:104"),
        (dicom("a", 104, ae_title="PACS", host="::1"), "PACS · [::1]:104"),
        (web("a", "https://vna.example.org/x"), "https://vna.example.org/x"),
        ({"name": "a", "kind": "hl7", "host": "ris", "port": 2575}, "ris:2575"),
        (
            {"name": "a", "kind": "webhook", "url": "https://ris.test/x", "secret_file": "/s"},
            "https://ris.test/x",
        ),
    ],
)
def test_the_address_is_that_of_the_document(
    metrics: Metrics, destination: dict[str, Any], address: str
):
    [state] = destination_states(metrics, routing(destination))[:1]
    assert state.address == address
    assert DestinationState("gone", None).address == ""
