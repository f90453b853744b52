"""Watch over canaries: their latest readings, held to the limits of the routing document."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.acceptance.agreement import Verdicts
from gateway.routing.canary import canary_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.routing.in_force import Routes, Routing
    from gateway.schemas.routing_rules import RollBack, RuleModel

_PERCENTILE = 0.95
# Findings that one of two models calls positive: with fewer, kappa is about single images.
_LEAST_POSITIVE = 10


@dataclass(frozen=True, slots=True)
class _Outcome:
    failed: bool = False
    not_applicable: bool = False
    infer_ms: float = 0.0


@dataclass(slots=True)
class _Latest:
    """Latest outcomes of a canary, and the pairs of verdicts by label."""

    model: RuleModel
    limits: RollBack
    outcomes: deque[_Outcome] = field(init=False)
    pairs: defaultdict[str, deque[tuple[bool, bool]]] = field(init=False)

    def __post_init__(self) -> None:
        self.outcomes = deque(maxlen=self.limits.readings)
        self.pairs = defaultdict(lambda: deque(maxlen=self.limits.readings))

    def breach(self) -> str | None:
        """Return the limit that the canary is beyond, in words; None while it is within all."""
        limits, n = self.limits, self.limits.readings
        if len(self.outcomes) == n:
            failed = 100 * sum(each.failed for each in self.outcomes) / n
            if limits.failed_percent is not None and failed > limits.failed_percent:
                return f"{failed:.1f} percent of {n} readings failed"
            unfit = 100 * sum(each.not_applicable for each in self.outcomes) / n
            if limits.not_applicable_percent is not None and unfit > limits.not_applicable_percent:
                return f"not applicable to {unfit:.1f} percent of {n} images"
            times = sorted(each.infer_ms for each in self.outcomes if not each.failed)
            slow_ms = times[math.ceil(_PERCENTILE * len(times)) - 1] if times else 0.0
            if limits.infer_ms is not None and slow_ms > limits.infer_ms:
                return f"inference took {slow_ms:.1f} ms, the 95th percentile of {len(times)}"
        return self._disagreement()

    def _disagreement(self) -> str | None:
        least = self.limits.kappa
        for label, pairs in self.pairs.items():
            if least is None or len(pairs) < self.limits.readings:
                continue
            cells = Counter(pairs)
            verdicts = Verdicts(
                cells[True, True], cells[True, False], cells[False, True], cells[False, False]
            )
            kappa = verdicts.kappa()
            if verdicts.n - verdicts.both_negative < _LEAST_POSITIVE:
                continue
            if kappa is not None and kappa.value < least:
                return f"kappa {kappa.value:.3f} of {verdicts.n} findings of {label}"
        return None


class CanaryWatch:
    """The canaries of the document in force that may be rolled back.

    Parameters
    ----------
    routing
        Has the document.

    Attributes
    ----------
    on_breach
        Told of a canary that is beyond a limit, once, and of the limit.
    """

    def __init__(self, routing: Routing) -> None:
        self.on_breach: Callable[[RuleModel, str], None] | None = None
        self._rolled_back = routing.rolled_back
        self._latest: dict[str, _Latest] = {}
        self._take(routing.routes)
        routing.follow(self._take)

    @property
    def canaries(self) -> tuple[RuleModel, ...]:
        """The models whose canaries are watched, rolled back or not."""
        return tuple(each.model for each in self._latest.values())

    def read(self, name: str, version: str, *, not_applicable: bool, infer_ms: float) -> None:
        """Note a reading by a canary."""
        self._note(name, version, _Outcome(not_applicable=not_applicable, infer_ms=infer_ms))

    def failed(self, name: str, version: str | None) -> None:
        """Note that a canary did not read an image."""
        self._note(name, version, _Outcome(failed=True))

    def compared(
        self,
        shadow: tuple[str, str],
        shown: tuple[str, str],
        label: str,
        verdicts: tuple[bool, bool],
    ) -> None:
        """Note a finding of a shadow model beside the one that is shown.

        Parameters
        ----------
        verdicts
            The one that is shown, and the shadow model's.
        """
        for key, latest in self._watched(*shadow):
            if (latest.model.name, latest.model.version) == shown:
                latest.pairs[label].append(verdicts)
                self._look(key, latest)

    def _note(self, name: str, version: str | None, outcome: _Outcome) -> None:
        for key, latest in self._watched(name, version):
            latest.outcomes.append(outcome)
            self._look(key, latest)

    def _watched(self, name: str, version: str | None) -> Iterator[tuple[str, _Latest]]:
        """Yield what is known of canaries of this version that are in force."""
        for key, latest in self._latest.items():
            canary = latest.model.canary
            if canary is None or key in self._rolled_back:
                continue
            if (canary.name or latest.model.name, canary.version) == (name, version):
                yield key, latest

    def _look(self, key: str, latest: _Latest) -> None:
        reason = latest.breach()
        if reason is not None and self.on_breach is not None:
            self._rolled_back.add(key)
            self.on_breach(latest.model, reason)

    def _take(self, routes: Routes) -> None:
        """Watch the canaries of a document; those that it had before keep what is known of them."""
        before, document = self._latest, routes.document
        parts = [*document.rules, *([document.otherwise] if document.otherwise else [])]
        models = {canary_key(model): model for part in parts for model in part.models}
        self._latest = {
            key: before.get(key) or _Latest(model, model.canary.roll_back)
            for key, model in models.items()
            if model.canary is not None and model.canary.roll_back is not None
        }
