"""Telemetry for the tests: what studies tell, kept in a list."""

from prometheus_client import CollectorRegistry

from gateway.logs import Pseudonyms
from gateway.metrics import Metrics
from gateway.problems import problem_of
from gateway.schemas.telemetry import TelemetryEvent
from gateway.services.outcomes import Outcomes


class Told(Outcomes):
    """Outcomes that keep their events."""

    events: list[TelemetryEvent]

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.events = []
        super().__init__(
            self.events.append,
            metrics=metrics or Metrics(CollectorRegistry()),
            pseudonyms=Pseudonyms("key"),
            problem_of=problem_of,
            instance="test",
        )
