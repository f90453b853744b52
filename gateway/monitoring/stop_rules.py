"""Stop rules held to the health of model versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.acceptance.statistics import Z_99, wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gateway.monitoring.documents import ModelHealth
    from gateway.schemas.stop_rules import StopRule

LEAST_JUDGEMENTS = 20
"""Judgements from which on a share of them is held to its limit."""


def broken(rules: Iterable[StopRule], health: ModelHealth) -> Iterator[tuple[StopRule, str | None]]:
    """Yield each rule of the model version, and the limit that it is beyond, in words, if any."""
    for rule in rules:
        if rule.model == health.model and rule.version in {None, health.version}:
            yield rule, next(_breaches(rule, health), None)


def _breaches(rule: StopRule, health: ModelHealth) -> Iterator[str]:
    yield from _signals(rule, health)
    yield from _shares(rule, health)
    yield from _truth(rule, health)


def _signals(rule: StopRule, health: ModelHealth) -> Iterator[str]:
    for name, limit in rule.signals.items():
        signal = health.signals.get(name)
        if signal is not None and signal.compared >= limit:
            yield f"signal {name} is {signal.compared:.3f}, its limit {limit:g}"


def _shares(rule: StopRule, health: ModelHealth) -> Iterator[str]:
    latest = health.latest()
    for kind, counted, n, limit in (
        ("not applicable", latest.not_applicable, latest.readings, rule.not_applicable_percent),
        ("failed", latest.failed, latest.readings + latest.failed, rule.failed_percent),
    ):
        if limit is not None and n >= rule.readings and 100 * counted / n > limit:
            yield f"{100 * counted / n:.1f} percent of {n} readings {kind}, the limit {limit:g}"


def _truth(rule: StopRule, health: ModelHealth) -> Iterator[str]:
    for label, cells in health.judged().truth.items():
        for kind, right, wrong, least in (
            ("sensitivity", cells.true_positive, cells.false_negative, rule.sensitivity),
            ("specificity", cells.true_negative, cells.false_positive, rule.specificity),
        ):
            agreed, n = max(0, right), max(0, right) + max(0, wrong)
            if least is not None and n >= LEAST_JUDGEMENTS and wilson(agreed, n, Z_99)[1] < least:
                share = f"{agreed / n:.3f} of {n} judgements"
                yield f"{kind} for {label} is {share}, the least {least:g}"
