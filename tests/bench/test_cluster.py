"""The simulated pods, where their answers follow by hand."""

import math
from collections.abc import Iterator

from bench.autoscaling.cluster import Cluster, Run, ServiceTimes, Setup, Targets, arrivals
from bench.autoscaling.hpa import Policy, Rules, Scaling

# A picture takes 1 s in the gateway; a batch 2.5 s and 1 s more for each picture after the first.
TIMES = ServiceTimes([1.0], {1: 2.5, 3: 4.5})
NEVER = Targets(math.inf, math.inf, math.inf)


def run(studies: Iterator[float], *, replicas: int = 1, cores: int = 1) -> Run:
    setup = Setup(replicas, None, NEVER, cores=cores, start_s=0)
    return Cluster(setup, TIMES, seed=1).simulate(studies, until_s=100)


def test_a_batchs_time_lies_on_the_line_between_those_measured():
    assert [TIMES.inference_s(size) for size in (1, 2, 3, 16)] == [2.5, 3.5, 4.5, 4.5]


def test_a_study_alone_takes_what_its_stages_take():
    assert run(iter([5.0])).latencies_s == [3.5]


def test_studies_queue_for_a_core_and_share_a_batch():
    # Decoded at 1, 2, 3; the first inferred alone until 3.5, the others together from then to 7.
    assert run(iter([0.0, 0.0, 0.0])).latencies_s == [3.5, 7.0, 7.0]


def test_a_second_core_decodes_beside_the_first():
    # Both decoded at 1; the first has the model to itself until 3.5, the second from then to 6.
    assert run(iter([0.0, 0.0]), cores=2).latencies_s == [3.5, 6.0]


def test_a_pod_tells_of_no_more_studies_in_work_than_it_takes_on():
    # Eight places, fifty studies: told of eight, which are twice the target, so twice the pods.
    scaling = Scaling(1, 100, up=Rules(0, (Policy("Pods", 99, 15),)), down=Rules(1000, ()))
    setup = Setup(1, scaling, Targets(math.inf, 4, math.inf), cores=1, start_s=1000)
    done = Cluster(setup, TIMES, seed=1).simulate(iter([0.0] * 50), until_s=15)
    assert done.replicas == [(0.0, 1), (15.0, 2)]


def test_a_second_pod_takes_every_second_study():
    assert run(iter([0.0, 0.0]), replicas=2).latencies_s == [3.5, 3.5]


def test_what_is_over_the_deadline_failed():
    done = run(iter([0.0] * 40))
    assert done.failed > 0
    assert len(done.latencies_s) == 40
    assert max(done.latencies_s) == 30.0


def test_a_pod_that_is_asked_for_works_once_it_is_ready_and_is_paid_for_from_the_start():
    scaling = Scaling(1, 2, up=Rules(0, (Policy("Pods", 1, 15),)), down=Rules(1000, ()))
    setup = Setup(1, scaling, Targets(math.inf, math.inf, 50), cores=1, start_s=20)
    # One study a second fills the core: 100 % of 50 % wanted, so twice as many at the first look.
    done = Cluster(setup, TIMES, seed=1).simulate((float(n) for n in range(60)), until_s=60)
    assert done.replicas == [(0.0, 1), (15.0, 2), (30.0, 2), (45.0, 2), (60.0, 2)]
    assert done.pod_s == 60 + 45


def test_arrivals_are_those_of_the_seed_and_of_the_rate():
    first = list(arrivals([(600, 60), (600, 6)], seed=7))
    assert first == list(arrivals([(600, 60), (600, 6)], seed=7))
    assert first == sorted(first)
    calm = [at for at in first if at >= 600]
    assert 500 < len(first) - len(calm) < 700
    assert 40 < len(calm) < 80
