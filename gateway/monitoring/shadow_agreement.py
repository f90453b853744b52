"""Agreement of shadow models with those whose readings are shown, out of the gateway's metrics."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gateway.acceptance.agreement import Verdicts
from gateway.schemas.acceptance import Interval
from gateway.schemas.models import ShadowAgreement

if TYPE_CHECKING:
    from gateway.observability.metrics.shadow import ShadowMetrics


def shadow_agreement(
    metrics: ShadowMetrics, name: str, version: str
) -> tuple[ShadowAgreement, ...]:
    """Return the agreement of a model version with each other, by label, since the start.

    It is the shadow model or the one that is shown.
    """
    found: dict[tuple[str, str, str], Counter[str]] = {}
    [family] = metrics.pairs.collect()
    for sample in family.samples:
        if not sample.name.endswith("_total"):
            continue
        labels = sample.labels
        shadow = labels["shadow"], labels["shadow_version"]
        shown = labels["model"], labels["version"]
        if (name, version) in {shadow, shown}:
            key = " ".join(shadow), " ".join(shown), labels["label"]
            found.setdefault(key, Counter())[labels["verdicts"]] += int(sample.value)
    return tuple(_agreement(*key, counts) for key, counts in sorted(found.items()))


def _agreement(shadow: str, shown: str, label: str, counts: Counter[str]) -> ShadowAgreement:
    verdicts = Verdicts(
        both_positive=counts["both_positive"],
        only_first=counts["only_shown"],
        only_second=counts["only_shadow"],
        both_negative=counts["both_negative"],
    )
    kappa = verdicts.kappa()
    return ShadowAgreement(
        shadow=shadow,
        shown=shown,
        label=label,
        pairs=verdicts.n,
        both_positive=verdicts.both_positive,
        only_shown=verdicts.only_first,
        only_shadow=verdicts.only_second,
        both_negative=verdicts.both_negative,
        not_applicable=counts["not_applicable"],
        kappa=kappa and Interval(value=kappa.value, low=kappa.low, high=kappa.high),
    )
