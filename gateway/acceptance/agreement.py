"""Agreement of two models on the same images.

By hand, since neither SciPy nor statsmodels is among what the gateway runs on; the formulas are
short.

References
----------
J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement
20 (1960); J. L. Fleiss, J. Cohen, B. S. Everitt, "Large sample standard errors of kappa and
weighted kappa", Psychological Bulletin 72 (1969), equation 13; Q. McNemar, "Note on the sampling
error of the difference between correlated proportions", Psychometrika 12 (1947); J. M. Bland, D. G.
Altman, "Statistical methods for assessing agreement between two methods of clinical measurement",
Lancet 327 (1986).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.acceptance.statistics import Z_95, Estimate

# Beyond, the exact test and the one of chi-squared tell the same, and the latter sooner.
_MOST_EXACT = 1000


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Two-by-two table of verdicts on the same findings.

    Parameters
    ----------
    both_positive, only_first, only_second, both_negative
        Numbers of findings.
    """

    both_positive: int
    only_first: int
    only_second: int
    both_negative: int

    @property
    def n(self) -> int:
        """Number of findings."""
        return self.both_positive + self.only_first + self.only_second + self.both_negative

    def kappa(self) -> Estimate | None:
        """Return Cohen's kappa; None where chance alone explains the verdicts whatever they are.

        That is so where there is no finding, or where both models give one and the same verdict to
        all of them.
        """
        n = self.n
        if not n:
            return None
        cells = ((self.both_positive, self.only_first), (self.only_second, self.both_negative))
        p = [[cell / n for cell in row] for row in cells]
        rows = [sum(row) for row in p]
        columns = [p[0][k] + p[1][k] for k in (0, 1)]
        by_chance = sum(rows[k] * columns[k] for k in (0, 1))
        if math.isclose(by_chance, 1):
            return None
        kappa = (p[0][0] + p[1][1] - by_chance) / (1 - by_chance)
        on = sum(p[k][k] * (1 - (rows[k] + columns[k]) * (1 - kappa)) ** 2 for k in (0, 1))
        off = (1 - kappa) ** 2 * sum(p[i][1 - i] * (columns[i] + rows[1 - i]) ** 2 for i in (0, 1))
        rest = (kappa - by_chance * (1 - kappa)) ** 2
        variance = max(0.0, on + off - rest) / (n * (1 - by_chance) ** 2)
        reach = Z_95 * math.sqrt(variance)
        return Estimate(kappa, max(-1.0, kappa - reach), min(1.0, kappa + reach))

    def mcnemar_p(self) -> float:
        """Return McNemar's two-sided p of the changed verdicts: exact, or by chi-squared for many.

        Small where one model is positive more often than the other on the same findings.
        """
        fewer, more = sorted((self.only_first, self.only_second))
        n = fewer + more
        if not n:
            return 1.0
        if n <= _MOST_EXACT:
            tail = sum(math.comb(n, k) for k in range(fewer + 1))
            return min(1.0, float(2 * tail / 2**n))
        squared = max(0.0, more - fewer - 1) ** 2 / n  # with the continuity correction
        return math.erfc(math.sqrt(squared / 2))


@dataclass(frozen=True, slots=True)
class Differences:
    """Differences of paired probabilities, as Bland and Altman describe them.

    Parameters
    ----------
    n, mean, deviation
        Their number, mean and sample standard deviation.
    """

    n: int
    mean: float
    deviation: float

    @property
    def bias(self) -> Estimate:
        """The mean difference."""
        reach = Z_95 * self.deviation / math.sqrt(self.n)
        return Estimate(self.mean, self.mean - reach, self.mean + reach)

    @property
    def limits(self) -> tuple[float, float]:
        """The limits between which 95 percent of the differences are expected."""
        reach = Z_95 * self.deviation
        return self.mean - reach, self.mean + reach
