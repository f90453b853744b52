"""The algorithm of Kubernetes' HorizontalPodAutoscaler (autoscaling/v2), as far as pods feel it.

References
----------
Kubernetes documentation, "Horizontal Pod Autoscaling": Algorithm details, Configurable scaling
behavior. KEDA feeds the same autoscaler; only the age of its numbers differs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Policy:
    """A limit to how fast replicas come or go.

    Attributes
    ----------
    kind : str
        `Pods` or `Percent`.
    value : int
        So many pods, or so many percent of the replicas at the period's start.
    period_s : float
        Seconds.
    """

    kind: str
    value: int
    period_s: float


@dataclass(frozen=True)
class Rules:
    """One direction's behaviour: seconds to look back at, and its policies (the widest counts)."""

    stabilization_s: float
    policies: tuple[Policy, ...]


@dataclass(frozen=True)
class Scaling:
    """Fields of an autoscaler's `spec`, with the controller's own two constants."""

    min_replicas: int
    max_replicas: int
    up: Rules
    down: Rules
    sync_s: float = 15.0
    tolerance: float = 0.1


@dataclass(frozen=True)
class Metric:
    """A number per ready pod, and what it should be on average."""

    per_pod: Sequence[float]
    target: float


def proposed(replicas: int, metric: Metric, tolerance: float) -> int:
    """Replicas that one metric asks for.

    Notes
    -----
    ceil(replicas x average / target), and no change within the tolerance. Pods that are not ready
    count as 0 when the others ask for more; if that turns the answer round, nothing changes.
    """
    if not metric.per_pod:
        return replicas
    ready = len(metric.per_pod)
    ratio = sum(metric.per_pod) / ready / metric.target
    if abs(ratio - 1) <= tolerance:
        return replicas
    if ready == replicas:
        return math.ceil(ratio * ready)
    if ratio < 1:  # unready pods count as wholly used when the others ask for fewer
        ratio = (sum(metric.per_pod) + (replicas - ready) * metric.target) / replicas
        ratio /= metric.target
        turned = ratio >= 1
    else:
        ratio = sum(metric.per_pod) / replicas / metric.target
        turned = ratio <= 1
    if turned or abs(ratio - 1) <= tolerance:
        return replicas
    return math.ceil(ratio * replicas)


@dataclass
class Autoscaler:
    """The controller's memory: what it recommended and what it did, with the times in seconds."""

    scaling: Scaling
    recommended: list[tuple[float, int]] = field(default_factory=list)
    changes: list[tuple[float, int]] = field(default_factory=list)

    def decide(self, now_s: float, replicas: int, metrics: Sequence[Metric]) -> int:
        """Replicas there should be from now on; several metrics: the highest proposal."""
        scaling = self.scaling
        wanted = max(proposed(replicas, metric, scaling.tolerance) for metric in metrics)
        wanted = min(max(wanted, scaling.min_replicas), scaling.max_replicas)
        wanted = self._stabilized(now_s, replicas, wanted)
        if wanted > replicas:
            wanted = min(wanted, self._upper_limit(now_s, replicas))
        elif wanted < replicas:
            wanted = max(wanted, self._lower_limit(now_s, replicas))
        if wanted != replicas:
            self.changes.append((now_s, wanted - replicas))
        return wanted

    def _stabilized(self, now_s: float, replicas: int, wanted: int) -> int:
        """The recommendation that the last ones agree on: lowest to go up, highest to go down."""
        self.recommended.append((now_s, wanted))

        def since(seconds: float) -> list[int]:
            return [number for at, number in self.recommended if at > now_s - seconds] or [wanted]

        up = min(since(self.scaling.up.stabilization_s))
        down = max(since(self.scaling.down.stabilization_s))
        return up if up > replicas else min(replicas, down)

    def _upper_limit(self, now_s: float, replicas: int) -> int:
        limits = []
        for policy in self.scaling.up.policies:
            start = replicas - self._changed(now_s, policy.period_s, up=True)
            more = policy.value if policy.kind == "Pods" else start * policy.value / 100
            limits.append(math.ceil(start + more))
        return max(limits, default=self.scaling.max_replicas)

    def _lower_limit(self, now_s: float, replicas: int) -> int:
        limits = []
        for policy in self.scaling.down.policies:
            start = replicas - self._changed(now_s, policy.period_s, up=False)
            fewer = policy.value if policy.kind == "Pods" else start * policy.value / 100
            limits.append(int(start - fewer))
        return min(limits, default=self.scaling.min_replicas)

    def _changed(self, now_s: float, period_s: float, *, up: bool) -> int:
        return sum(
            change for at, change in self.changes if at > now_s - period_s and (change > 0) == up
        )
