"""Distances are SciPy's and frouros's; their bounds hold, and chance alone is no distance."""

import numpy as np
import pytest
from scipy.spatial.distance import euclidean
from scipy.stats import wasserstein_distance

from gateway.monitoring.distances import (
    earth_mover,
    hellinger,
    nominal_distance,
    ordered_distance,
)


@pytest.mark.parametrize("seed", range(5))
def test_the_earth_movers_distance_is_scipys(seed: int):
    one, other = np.random.default_rng(seed).dirichlet(np.ones(20), 2)
    places = np.arange(20)
    expected = wasserstein_distance(places, places, one, other)
    assert earth_mover(one, other) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_hellingers_distance_is_that_of_the_square_roots(seed: int):
    one, other = np.random.default_rng(seed).dirichlet(np.ones(20), 2)
    expected = euclidean(np.sqrt(one), np.sqrt(other)) / np.sqrt(2)
    assert hellinger(one, other) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("one", "other", "nominal", "ordered"),
    [
        ([400, 300, 200, 70, 30], [90, 110, 160, 120, 20], 0.23985234665042895, 0.71),
        ([0, 40, 60, 0], [10, 10, 20, 60], 0.673490785747084, 0.9),
        (
            *([1000, 1, 0, 0, 0, 0, 0, 3], [1, 0, 5, 0, 0, 0, 90, 4]),
            *(0.9430094348609881, 5.75808764940239),
        ),
    ],
)
def test_distances_are_those_of_a_library_of_drift(
    one: list[int], other: list[int], nominal: float, ordered: float
):
    # By frouros 0.9.0, HellingerDistance and EMD, of samples with as many values in each bin.
    reference, window = np.array(one) / sum(one), np.array(other) / sum(other)
    assert hellinger(reference, window) == pytest.approx(nominal)
    assert earth_mover(reference, window) == pytest.approx(ordered)


def test_shares_without_a_common_bin_are_as_far_as_can_be():
    assert hellinger(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1.0
    assert earth_mover(np.array([1.0, 0, 0]), np.array([0, 0, 1.0])) == 2.0


def counts_of(values: np.ndarray) -> dict[str, int]:
    places, counts = np.unique(np.floor(values).astype(int), return_counts=True)
    return {str(place): int(count) for place, count in zip(places, counts, strict=True)}


def test_an_ordered_distance_is_told_in_deviations_of_the_reference():
    generator = np.random.default_rng(1)
    reference = counts_of(generator.normal(100, 10, 200_000))
    found = ordered_distance(reference, counts_of(generator.normal(105, 10, 200_000)), seed=1)
    assert found.value == pytest.approx(0.5, abs=0.02)
    assert found.low < found.value < found.high
    assert (found.n, found.reference_n) == (200_000, 200_000)


def test_the_same_counts_and_seed_give_the_same_bounds():
    one, other = {"a": 500, "b": 500}, {"b": 100, "c": 200}
    assert nominal_distance(one, other, seed=3) == nominal_distance(one, other, seed=3)
    assert nominal_distance(one, other, seed=3) != nominal_distance(one, other, seed=4)


def test_a_feature_that_never_varied_is_measured_in_bins():
    assert ordered_distance({"7": 1000}, {"9": 300}, seed=1).value == 2.0


def test_chance_alone_is_hardly_a_distance():
    generator = np.random.default_rng(5)
    shares = np.array([0.4, 0.3, 0.2, 0.05, 0.05])
    lows, values = [], []
    for seed in range(60):
        one, other = generator.multinomial(1000, shares), generator.multinomial(500, shares)
        counts = ({str(i): int(n) for i, n in enumerate(each)} for each in (one, other))
        found = nominal_distance(*counts, seed=seed)
        lows.append(found.low)
        values.append(found.value)
    assert np.median(values) < 0.02
    assert max(lows) < 0.05


@pytest.mark.parametrize("is_ordered", [True, False])
def test_the_bounds_hold_the_true_distance_mostly(is_ordered: bool):
    generator = np.random.default_rng(11)
    usual, changed = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    if is_ordered:
        truth = 0.6 / max(1.0, float(np.sqrt(usual @ (np.arange(3) - usual @ np.arange(3)) ** 2)))
    else:
        truth = float(hellinger(usual, changed))
    held = 0
    for seed in range(100):
        one, other = generator.multinomial(1000, usual), generator.multinomial(500, changed)
        counts = ({str(i): int(n) for i, n in enumerate(each)} for each in (one, other))
        found = (ordered_distance if is_ordered else nominal_distance)(*counts, seed=seed)
        held += found.low <= truth <= found.high
    assert held >= 88
