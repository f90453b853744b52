"""Metrics of several processes of one gateway, put together as those of one.

Not prometheus_client's own way for several processes, through files of memory: it has no exemplars,
none of the numbers of a process itself, and no series that goes.

Counters and histograms are sums, those of processes that ended among them, so that none ever falls.
A gauge says of itself how it is put together: by its `multiprocess_mode`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client.metrics import MetricWrapperBase

_COUNTED = frozenset({"counter", "histogram"})
_CREATED = "_created"
_MODES: dict[str, Callable[[float, float], float]] = {
    "livesum": lambda one, other: one + other,
    "livemax": max,
    "livemin": min,
}
# Of prometheus_client's own collectors; their other gauges are amounts of a process.
_LIBRARY_MODES = {"process_start_time_seconds": "livemin", "python_info": "livemax"}


class Family(NamedTuple):
    """A metric with its samples, as one process has them.

    Parameters
    ----------
    name, documentation, type, unit
        As prometheus_client has them.
    mode
        Rule by which the gauges of several processes are put together.
    samples
        Value for each set of labels.
    """

    name: str
    documentation: str
    type: str
    unit: str
    mode: str
    samples: list[Sample]


class Families(Collector):
    """Metrics that a form of exposition can write, as it writes a registry's."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        for family in self._families:
            metric = Metric(family.name, family.documentation, family.type, family.unit)
            metric.samples = family.samples
            yield metric


def modes_of(metrics: Iterable[MetricWrapperBase]) -> dict[str, str]:
    """Return the mode of each gauge, by its name."""
    return {
        described.name: metric._multiprocess_mode  # noqa: SLF001 - told nowhere else
        for metric in metrics
        if isinstance(metric, Gauge)
        for described in metric.describe()
    }


def families_of(registry: CollectorRegistry, modes: dict[str, str]) -> list[Family]:
    """Return the metrics of this process."""
    return [
        Family(
            family.name,
            family.documentation,
            family.type,
            family.unit,
            modes.get(family.name) or _LIBRARY_MODES.get(family.name) or _mode_of(family.type),
            family.samples,
        )
        for family in registry.collect()
    ]


def _mode_of(kind: str) -> str:
    return "livesum" if kind == "gauge" or kind in _COUNTED else "livemax"


def counted(families: Iterable[Family]) -> list[Family]:
    """Return what counts on after the process has ended."""
    return [family for family in families if family.type in _COUNTED]


def combined(parts: Iterable[Iterable[Family]]) -> list[Family]:
    """Return the metrics of all processes as those of one, in the order of the first."""
    found: dict[str, Family] = {}
    samples: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], Sample]] = {}
    for family in (family for part in parts for family in part):
        found.setdefault(family.name, family)
        of_family = samples.setdefault(family.name, {})
        put_together = _MODES[family.mode]
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            before = of_family.get(key)
            of_family[key] = (
                sample if before is None else _both(before, sample, family.type, put_together)
            )
    return [family._replace(samples=list(samples[name].values())) for name, family in found.items()]


def _both(
    one: Sample, other: Sample, kind: str, put_together: Callable[[float, float], float]
) -> Sample:
    if kind in _COUNTED and one.name.endswith(_CREATED):
        put_together = min
    newest = max(one.exemplar, other.exemplar, key=_seen_at)
    return one._replace(value=put_together(one.value, other.value), exemplar=newest)


def _seen_at(exemplar: Exemplar | None) -> float:
    return 0.0 if exemplar is None else float(exemplar.timestamp or 0.0)


def written(families: Sequence[Family]) -> bytes:
    """Return the metrics as bytes, for another process."""
    return json.dumps(families).encode()


def read(data: bytes) -> list[Family]:
    """Return what `written` made."""
    return [
        Family(*family)._replace(samples=[_sample(sample) for sample in family[-1]])
        for family in json.loads(data)
    ]


def _sample(written: Sequence[Any]) -> Sample:
    name, labels, value, timestamp, exemplar, _native = written
    return Sample(name, labels, value, timestamp, exemplar and Exemplar(*exemplar))
