"""The autoscaler's algorithm, against numbers of Kubernetes' documentation and by hand.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

import pytest

from bench.autoscaling.hpa import Autoscaler, Metric, Policy, Rules, Scaling, proposed

FREE = Rules(0, (Policy("Percent", 1000, 1),))


def at_average(average: float, ready: int, target: float = 100) -> Metric:
    return Metric([average] * ready, target)


@pytest.mark.parametrize(
    ("replicas", "average", "wanted"),
    [
        (3, 200, 6),  # "the number of replicas will be doubled, since 200.0 / 100.0 == 2.0"
        (4, 50, 2),  # "you'll halve the number of replicas, since 50.0 / 100.0 == 0.5"
        (3, 120, 4),  # ceil(3 x 1.2 = 3.6)
        (5, 81, 5),  # ceil(4.05)
        (3, 109, 3),  # within the tolerance of 0.1
        (3, 91, 3),
        (3, 111, 4),
    ],
)
def test_one_metric_asks_for_its_ratio_rounded_up(replicas: int, average: float, wanted: int):
    assert proposed(replicas, at_average(average, replicas), 0.1) == wanted


def test_pods_that_are_not_ready_count_as_idle_when_more_are_asked_for():
    # Two ready at 300, two starting: 600 / 4 = 150 on average, 4 x 1.5.
    assert proposed(4, at_average(300, 2), 0.1) == 6
    # 300 / 4 = 75 would turn the answer round, so nothing changes.
    assert proposed(4, at_average(150, 2), 0.1) == 4


def test_pods_that_are_not_ready_count_as_full_when_fewer_are_asked_for():
    # (2 x 20 + 2 x 100) / 4 = 60 on average, ceil(4 x 0.6).
    assert proposed(4, at_average(20, 2), 0.1) == 3


def test_without_a_ready_pod_nothing_changes():
    assert proposed(4, Metric([], 100), 0.1) == 4


def test_the_highest_of_several_metrics_counts():
    autoscaler = Autoscaler(Scaling(1, 100, FREE, FREE))
    assert autoscaler.decide(0, 4, [at_average(50, 4), at_average(200, 4)]) == 8


def test_the_number_stays_between_its_bounds():
    autoscaler = Autoscaler(Scaling(2, 7, FREE, FREE))
    assert autoscaler.decide(0, 4, [at_average(1000, 4)]) == 7
    assert autoscaler.decide(10, 4, [at_average(1, 4)]) == 2


def test_the_widest_policy_limits_the_way_up():
    up = Rules(0, (Policy("Percent", 100, 15), Policy("Pods", 4, 15)))
    autoscaler = Autoscaler(Scaling(1, 100, up, FREE))
    busy = 10_000.0
    assert autoscaler.decide(0, 2, [at_average(busy, 2)]) == 6  # four more, which beats twice
    assert autoscaler.decide(5, 6, [at_average(busy, 6)]) == 6  # the period's allowance is used
    assert autoscaler.decide(20, 6, [at_average(busy, 6)]) == 12  # twice, which beats four more


def test_the_way_down_follows_the_documentations_example():
    """80 replicas and a target of 10: 8 go, then of 72 again 8 since 7.2 is rounded up."""
    down = Rules(0, (Policy("Pods", 4, 60), Policy("Percent", 10, 60)))
    autoscaler = Autoscaler(Scaling(10, 100, FREE, down))
    replicas, seen = 80, []
    for step in range(12):
        replicas = autoscaler.decide(step * 61, replicas, [at_average(1, replicas)])
        seen.append(replicas)
    # From 40 on the first policy takes more: four at a time.
    assert seen == [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16]


def test_the_way_down_waits_for_the_highest_recommendation_of_the_window():
    down = Rules(300, (Policy("Percent", 100, 15),))
    autoscaler = Autoscaler(Scaling(1, 100, FREE, down))
    assert autoscaler.decide(0, 10, [at_average(100, 10)]) == 10
    assert autoscaler.decide(60, 10, [at_average(40, 10)]) == 10
    assert autoscaler.decide(299, 10, [at_average(20, 10)]) == 10
    assert autoscaler.decide(301, 10, [at_average(20, 10)]) == 4  # that of second 60
    assert autoscaler.decide(361, 4, [at_average(50, 4)]) == 2
