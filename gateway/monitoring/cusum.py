"""Cumulative sums (CUSUM) of the evidence that a share of readings has changed.

References
----------
Page, Continuous Inspection Schemes, Biometrika 41, 1954. Of Bernoulli trials: Reynolds and
Stoumbos, A CUSUM chart for monitoring a proportion when inspecting continuously, J. Qual. Technol.
31, 1999.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.acceptance.statistics import Z_99, wilson
from gateway.schemas.stored_document import StoredDocument

LIMIT = 10.0
"""Evidence, a logarithm of likelihoods' ratio, that makes an alarm."""
SHIFT = 0.10
"""Change of the share that a sum is made to find: a greater one is found sooner."""
_LEAST_SHARE = 0.02  # below it a share has nowhere to fall


class Evidence(StoredDocument):
    """Evidence so far, 0 to `LIMIT`, for a rise and for a fall."""

    rise: float = 0.0
    fall: float = 0.0


@dataclass(frozen=True, slots=True)
class ShareWatch:
    """A watch on a share of readings.

    Parameters
    ----------
    share
        Number of readings of the kind in the reference, and number of all readings there.
    falls
        True if a fall counts too.
    """

    share: tuple[int, int]
    falls: bool = True

    def after(self, evidence: Evidence, found: int, n: int) -> Evidence:
        """Return the evidence after so many more readings, of which `found` are of the kind."""
        # The reference's own uncertainty is no drift.
        low, high = wilson(*self.share, Z_99)
        rise = min(high + SHIFT, (1 + high) / 2)
        fall = max(low - SHIFT, low / 2)
        return Evidence(
            rise=_sum(evidence.rise, high, rise, found, n),
            fall=_sum(evidence.fall, low, fall, found, n)
            if self.falls and low > _LEAST_SHARE
            else 0.0,
        )


def _sum(evidence: float, usual: float, changed: float, found: int, n: int) -> float:
    """Return the evidence that the share is `changed` and no longer `usual`."""
    if not 0 < usual < 1 or not 0 < changed < 1:
        return 0.0
    each, other = math.log(changed / usual), math.log((1 - changed) / (1 - usual))
    return min(LIMIT, max(0.0, evidence + found * each + (n - found) * other))
