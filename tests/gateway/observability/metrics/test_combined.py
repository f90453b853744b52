"""The metrics of several processes read like those of one."""

from itertools import pairwise

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, exposition
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from gateway.observability.metrics import Metrics, process_registry
from gateway.observability.metrics.combined import (
    Families,
    Family,
    combined,
    counted,
    families_of,
    modes_of,
    read,
    written,
)


class Process:
    """Some metrics of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.studies = Counter("studies_total", "", ["way"], registry=self.registry)
        self.seconds = Histogram("seconds", "", ["way"], buckets=(1, 2), registry=self.registry)
        self.at_work = self._gauge("at_work", "livesum")
        self.waiting = self._gauge("waiting", "livemax")
        self.valid = self._gauge("valid", "livemin")

    def _gauge(self, name: str, mode: str) -> Gauge:
        return Gauge(name, "", registry=self.registry, multiprocess_mode=mode)  # type: ignore[arg-type]

    def families(self) -> list[Family]:
        """The metrics, as another process reads them."""
        metrics = (self.studies, self.seconds, self.at_work, self.waiting, self.valid)
        return read(written(families_of(self.registry, modes_of(metrics))))


def value(families: list[Family], name: str, **labels: str) -> float:
    [found] = [
        sample.value
        for family in families
        for sample in family.samples
        if (sample.name, sample.labels) == (name, labels)
    ]
    return found


def test_counts_are_summed_and_gauges_put_together_as_they_say():
    one, other = Process(), Process()
    for process, number in ((one, 2), (other, 3)):
        process.studies.labels("rest").inc(number)
        process.seconds.labels("rest").observe(number - 1)
        for gauge in (process.at_work, process.waiting, process.valid):
            gauge.set(number)
    other.studies.labels("stow").inc()
    both = combined([one.families(), other.families()])
    assert value(both, "studies_total", way="rest") == 5
    assert value(both, "studies_total", way="stow") == 1
    assert value(both, "seconds_bucket", way="rest", le="1.0") == 1
    assert value(both, "seconds_bucket", way="rest", le="2.0") == 2
    assert value(both, "seconds_sum", way="rest") == 3
    assert [value(both, name) for name in ("at_work", "waiting", "valid")] == [5, 3, 2]


def test_a_process_that_has_ended_leaves_its_counts_and_nothing_else():
    ended, lives = Process(), Process()
    ended.studies.labels("rest").inc(7)
    ended.at_work.set(4)
    left = combined([[], counted(ended.families())])
    together = combined([lives.families(), left])
    assert value(together, "studies_total", way="rest") == 7
    assert value(together, "at_work") == 0


def test_a_count_was_begun_when_the_first_process_began_it():
    one, other = Process(), Process()
    one.studies.labels("rest")
    began = value(one.families(), "studies_created", way="rest")
    other.studies.labels("rest")
    assert (
        value(combined([other.families(), one.families()]), "studies_created", way="rest") == began
    )


def test_the_newest_exemplar_stays():
    one, other = Process(), Process()
    for process, trace in ((one, "old"), (other, "new")):
        process.seconds.labels("rest").observe(0.5, {"trace_id": trace})
    for order in ((one, other), (other, one)):
        text = _openmetrics(combined([process.families() for process in order]))
        assert '{trace_id="new"}' in text
        assert "old" not in text


def test_both_forms_can_be_written_with_the_samples_of_a_metric_together():
    one, other = Process(), Process()
    for process, way in ((one, "rest"), (other, "stow"), (one, "dimse")):
        process.seconds.labels(way).observe(1)
    both = combined([one.families(), other.families()])
    text = exposition.generate_latest(Families(both)).decode()
    assert {family.name for family in text_string_to_metric_families(text)} >= {"seconds", "valid"}
    ways = [line.split('way="')[1].split('"')[0] for line in text.splitlines() if "_bucket" in line]
    assert sum(before != after for before, after in pairwise(ways)) == 2
    assert _openmetrics(both).endswith("# EOF\n")


def test_every_gauge_of_the_gateway_says_how_it_is_put_together():
    metrics = Metrics(process_registry())
    modes = modes_of(metrics)
    gauges = {
        family.name: family.mode
        for family in families_of(metrics.registry, modes)
        if family.type == "gauge"
    }
    assert set(modes.values()) == {"livesum", "livemax", "livemin"}
    assert gauges["process_start_time_seconds"] == "livemin"
    assert gauges["process_resident_memory_bytes"] == "livesum"
    assert gauges["radstream_model_ready"] == "livemin"
    assert combined([families_of(metrics.registry, modes)] * 2)


def _openmetrics(families: list[Family]) -> str:
    return openmetrics.generate_latest(Families(families)).decode()
