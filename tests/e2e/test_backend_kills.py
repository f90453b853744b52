"""A few kills of the drill of backend processes; `bench.backend_kills` does sixty."""

import pytest

from bench.backend_kills import drill, faults


@pytest.mark.timeout(300)  # it goes as fast as the machine starts processes
async def test_service_comes_back_whichever_backend_process_dies_and_when():
    done, watch = await drill(3, 3, ["busy"])
    assert sorted(kill.moment for kill in done) == ["loading", "serving", "serving"]
    # How soon, a busy machine cannot say; that it comes back, and says so then alone, it can.
    assert faults(done, watch, back_within_s=120.0, known_after_s=15.0) == []
    assert {status for _, status in watch.answers} <= {200, 503, 504}
