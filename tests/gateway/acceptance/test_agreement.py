"""Agreement of two models, by hand and against simulation."""

import numpy as np
import pytest

from gateway.acceptance.agreement import Differences, Verdicts


def test_kappa_by_hand():
    # Observed (20 + 15) / 50 = 0.7; by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    kappa = Verdicts(20, 5, 10, 15).kappa()
    assert kappa is not None
    assert kappa.value == pytest.approx(0.4)


@pytest.mark.parametrize("cells", [(20, 5, 10, 15), (30, 10, 20, 340), (50, 0, 0, 50)])
def test_kappas_interval_is_the_one_of_simulation(cells: tuple[int, ...]):
    table, n = np.array(cells), sum(cells)
    kappa = Verdicts(*cells).kappa()
    assert kappa is not None
    drawn = np.random.default_rng(1).multinomial(n, table / n, 20_000)
    found = [Verdicts(*map(int, each)).kappa() for each in drawn]
    deviation = np.std([each.value for each in found if each is not None])
    assert (kappa.high - kappa.low) / 2 == pytest.approx(1.96 * deviation, rel=0.1, abs=1e-9) or (
        kappa.high == 1
    )


@pytest.mark.parametrize("cells", [(0, 0, 0, 0), (0, 0, 0, 9), (9, 0, 0, 0)])
def test_without_two_verdicts_there_is_no_kappa(cells: tuple[int, ...]):
    assert Verdicts(*cells).kappa() is None


def test_kappa_of_opposites_and_of_twins():
    opposite, same = Verdicts(0, 10, 10, 0).kappa(), Verdicts(10, 0, 0, 10).kappa()
    assert opposite is not None
    assert same is not None
    assert (opposite.value, same.value) == (-1, 1)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    # Twice the tail of a fair coin: 2/32, 2 * 11/1024; more than one is one.
    [(0, 0, 1), (0, 5, 0.0625), (5, 0, 0.0625), (1, 9, 0.021484375), (5, 5, 1)],
)
def test_mcnemar_by_hand(first: int, second: int, p: float):
    assert Verdicts(7, first, second, 8).mcnemar_p() == pytest.approx(p)


def test_mcnemar_of_many_is_near_the_exact_one():
    exact, many = Verdicts(0, 460, 540, 0).mcnemar_p(), Verdicts(0, 460, 541, 0).mcnemar_p()
    assert many == pytest.approx(exact, rel=0.1)


def test_bland_and_altmans_figures():
    differences = np.array([0.1, -0.05, 0.02, 0.07, -0.01])
    mean, deviation = differences.mean(), differences.std(ddof=1)
    found = Differences(5, float(mean), float(deviation))
    assert found.limits == pytest.approx((mean - 1.96 * deviation, mean + 1.96 * deviation), 1e-4)
    assert found.bias.high - mean == pytest.approx(1.96 * deviation / np.sqrt(5), 1e-4)
