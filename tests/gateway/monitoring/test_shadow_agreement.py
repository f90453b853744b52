"""Agreement of shadow models is told of both models, with kappa, and of no others."""

import pytest
from prometheus_client import CollectorRegistry

from gateway.monitoring.shadow_agreement import shadow_agreement
from gateway.observability.metrics.shadow import ShadowMetrics

COUNTS = {
    "both_positive": 20,
    "only_shown": 5,
    "only_shadow": 10,
    "both_negative": 15,
    "not_applicable": 2,
}


def test_counts_of_a_pair_are_told_of_both_versions_with_cohens_kappa():
    metrics = ShadowMetrics(CollectorRegistry())
    for verdicts, count in COUNTS.items():
        metrics.pairs.labels("cxr", "2", "cxr", "1", "pneumonia", verdicts).inc(count)
    metrics.pairs.labels("other", "1", "third", "1", "pneumonia", "both_negative").inc()
    [told] = shadow_agreement(metrics, "cxr", "1")
    assert shadow_agreement(metrics, "cxr", "2") == (told,)
    assert shadow_agreement(metrics, "cxr", "3") == ()
    assert (told.shadow, told.shown, told.pairs) == ("cxr 2", "cxr 1", 50)
    assert told.model_dump(include=set(COUNTS)) == COUNTS
    # By hand: 35 of 50 agree; by chance 0.5 would: (0.7 - 0.5) / (1 - 0.5).
    assert told.kappa is not None
    assert told.kappa.value == pytest.approx(0.4)
    assert told.kappa.low < 0.4 < told.kappa.high


def test_where_chance_explains_all_there_is_no_kappa():
    metrics = ShadowMetrics(CollectorRegistry())
    metrics.pairs.labels("cxr", "2", "cxr", "1", "pneumonia", "both_negative").inc(9)
    [told] = shadow_agreement(metrics, "cxr", "1")
    assert (told.pairs, told.kappa) == (9, None)
