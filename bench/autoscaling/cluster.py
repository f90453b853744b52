"""A burst of studies against pods of a gateway and a Triton, simulated event by event.

A pod is what the chart makes of it: a gateway that works on as many pictures at once as it has
cores, then one Triton instance on a core, which takes whatever waits, up to its batch size, in one
go. Service times are measured (`measure.py`), arrivals random (Poisson) from a seed. What is left
out: the network, the store, and the load balancer's own time.
"""

import bisect
import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.autoscaling.hpa import Autoscaler, Metric, Scaling

# Beyond it the gateway answers 503, and the study counts as failed.
DEADLINE_S = 30.0
MAX_BATCH = 16
# Studies that a gateway takes on at once, for each core (the default of its admission.studies).
# Those beyond wait, as dropped files do and senders who come again; no metric of the pod sees them.
PLACES_A_CORE = 8


@dataclass(frozen=True)
class ServiceTimes:
    """Seconds of work, as measured.

    Attributes
    ----------
    gateway_s : sequence of float
        Of one study in the gateway, one entry a study measured.
    batch_s : dict of int to float
        Of one inference, by its batch size.
    """

    gateway_s: Sequence[float]
    batch_s: dict[int, float]

    def inference_s(self, batch: int) -> float:
        """Seconds of a batch of any size, on the line between the two measured next to it."""
        sizes = sorted(self.batch_s)
        upper = sizes[min(bisect.bisect_left(sizes, batch), len(sizes) - 1)]
        lower = max((size for size in sizes if size <= batch), default=upper)
        if upper == lower:
            return self.batch_s[upper]
        share = (batch - lower) / (upper - lower)
        return self.batch_s[lower] + share * (self.batch_s[upper] - self.batch_s[lower])


@dataclass(frozen=True)
class Targets:
    """Level at which the autoscaler keeps each metric, as in the chart's `autoscaling.targets`.

    One that is infinite is not looked at.
    """

    queue_s: float
    studies_in_flight: float
    cpu_percent: float


@dataclass(frozen=True)
class Setup:
    """A service under test: pods that stay as many as they are, or an autoscaler."""

    replicas: int
    scaling: Scaling | None
    targets: Targets
    cores: int
    start_s: float
    scrape_s: float = 15.0


@dataclass(eq=False)
class Pod:
    """One pod, from when it was asked for."""

    created_s: float
    ready_s: float
    removed_s: float | None = None
    free_cores: int = 0
    begun: int = 0
    decoding: deque[float] = field(default_factory=deque)
    waiting: deque[tuple[float, float]] = field(default_factory=deque)
    inferring: bool = False
    busy_s: float = 0.0
    queue_s: float = 0.0
    queued: int = 0


@dataclass
class Run:
    """Outcome of a simulation: seconds a study (the deadline where it failed), pods over time."""

    latencies_s: list[float] = field(default_factory=list)
    failed: int = 0
    replicas: list[tuple[float, int]] = field(default_factory=list)
    pod_s: float = 0.0

    def percentile_s(self, percent: float) -> float:
        """The latency that so many percent of the studies do not exceed."""
        ordered = sorted(self.latencies_s)
        return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def arrivals(phases: Sequence[tuple[float, float]], seed: int) -> Iterator[float]:
    """Times of studies in seconds, for phases of (seconds, studies a minute)."""
    generator = random.Random(seed)  # noqa: S311  a simulation wants it repeatable
    begin = 0.0
    for seconds, per_minute in phases:
        at = begin
        while (at := at + generator.expovariate(per_minute / 60)) < begin + seconds:
            yield at
        begin += seconds


class Cluster:
    """The pods, the load balancer before them and the autoscaler over them."""

    def __init__(self, setup: Setup, times: ServiceTimes, seed: int) -> None:
        self._setup = setup
        self._times = times
        self._random = random.Random(seed)  # noqa: S311  a simulation wants it repeatable
        self._order = itertools.count()
        self._events: list[tuple[float, int, str, tuple[object, ...]]] = []
        self._turn = itertools.count()
        self.pods = [Pod(0.0, 0.0, free_cores=setup.cores) for _ in range(setup.replicas)]
        self._live = list(self.pods)
        self._ready = list(self.pods)
        self._autoscaler = Autoscaler(setup.scaling) if setup.scaling else None
        self.run = Run(replicas=[(0.0, setup.replicas)])

    def simulate(self, studies: Iterator[float], until_s: float) -> Run:
        """Everything from 0 to the end, and what was in flight then."""
        self._arrive_next(studies)
        if self._autoscaler:
            sync_s = self._autoscaler.scaling.sync_s
            for number in range(1, int(until_s / sync_s) + 1):
                self._at(number * sync_s, "scale")
        while self._events:
            now, _, name, arguments = heapq.heappop(self._events)
            getattr(self, f"_{name}")(now, *arguments)
        self.run.pod_s = sum(
            (pod.removed_s if pod.removed_s is not None else until_s) - pod.created_s
            for pod in self.pods
        )
        return self.run

    def _at(self, when: float, name: str, *arguments: object) -> None:
        heapq.heappush(self._events, (when, next(self._order), name, arguments))

    # --- the way of a study ---

    def _arrive_next(self, studies: Iterator[float]) -> None:
        if (at := next(studies, None)) is not None:
            self._at(at, "arrive", studies)

    def _arrive(self, now: float, studies: Iterator[float]) -> None:
        self._arrive_next(studies)
        pod = self._ready[next(self._turn) % len(self._ready)]  # round robin, an ALB's default
        pod.decoding.append(now)
        self._decode_next(now, pod)

    def _decode_next(self, now: float, pod: Pod) -> None:
        places = PLACES_A_CORE * self._setup.cores
        while pod.decoding and pod.free_cores and pod.begun < places:
            arrived = pod.decoding.popleft()
            if now - arrived > DEADLINE_S:
                self._fail()
                continue
            pod.begun += 1
            pod.free_cores -= 1
            seconds = self._random.choice(self._times.gateway_s)
            pod.busy_s += seconds
            self._at(now + seconds, "decoded", pod, arrived)

    def _decoded(self, now: float, pod: Pod, arrived: float) -> None:
        pod.free_cores += 1
        pod.waiting.append((arrived, now))
        self._decode_next(now, pod)
        self._infer_next(now, pod)

    def _infer_next(self, now: float, pod: Pod) -> None:
        if pod.inferring or not pod.waiting:
            return
        batch = [pod.waiting.popleft() for _ in range(min(len(pod.waiting), MAX_BATCH))]
        pod.queue_s += sum(now - queued for _, queued in batch)
        pod.queued += len(batch)
        pod.inferring = True
        seconds = self._times.inference_s(len(batch))
        self._at(now + seconds, "inferred", pod, [arrived for arrived, _ in batch])

    def _inferred(self, now: float, pod: Pod, batch: Sequence[float]) -> None:
        pod.inferring = False
        pod.begun -= len(batch)
        for arrived in batch:
            if now - arrived > DEADLINE_S:
                self._fail()
            else:
                self.run.latencies_s.append(now - arrived)
        self._infer_next(now, pod)
        self._decode_next(now, pod)

    def _fail(self) -> None:
        self.run.failed += 1
        self.run.latencies_s.append(DEADLINE_S)

    # --- the pods ---

    def _scale(self, now: float) -> None:
        assert self._autoscaler is not None
        wanted = self._autoscaler.decide(now, len(self._live), self._metrics(now))
        while len(self._live) < wanted:
            pod = Pod(now, now + self._setup.start_s, free_cores=self._setup.cores)
            self._live.append(pod)
            self.pods.append(pod)
            self._at(pod.ready_s, "become_ready", pod)
        while len(self._live) > wanted:  # the youngest goes; it ends the studies that it has
            pod = self._live.pop()
            pod.removed_s = now
            if pod in self._ready:
                self._ready.remove(pod)
        self.run.replicas.append((now, wanted))

    def _become_ready(self, _now: float, pod: Pod) -> None:
        if pod.removed_s is None:
            self._ready.append(pod)

    def _metrics(self, now: float) -> list[Metric]:
        """Return the ready pods' metrics since the last sync, and count anew."""
        setup, targets = self._setup, self._setup.targets
        ready = [pod for pod in self._ready if pod.ready_s + setup.scrape_s <= now]
        sync_s = self._autoscaler.scaling.sync_s if self._autoscaler else 1.0
        cpu = [100 * pod.busy_s / sync_s / setup.cores for pod in ready]
        queue = [pod.queue_s / pod.queued if pod.queued else 0.0 for pod in ready]
        places = PLACES_A_CORE * setup.cores
        in_flight = [float(min(pod.begun + len(pod.decoding), places)) for pod in ready]
        for pod in self._live:
            pod.busy_s = pod.queue_s = 0.0
            pod.queued = 0
        seen = [
            Metric(queue, targets.queue_s),
            Metric(in_flight, targets.studies_in_flight),
            Metric(cpu, targets.cpu_percent),
        ]
        return [metric for metric in seen if math.isfinite(metric.target)]
