"""Upper bounds of the histograms' buckets."""

from __future__ import annotations

# From a replayed answer (1 ms) to ten seconds. Most studies take 10 ms to a second: there no bound
# is more than one and a half times the one before, which is how far a quantile can be off.
SECONDS = (
    *(0.001, 0.0025, 0.005),
    *(0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 1.5, 2.5, 5.0, 10.0),
)
# To a result that no caller waits for: its objective is a minute, an outage takes hours.
FRESHNESS_SECONDS = (
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    *(10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0),
    *(120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0),
)
