"""Work that is repeated, whatever it meets."""

import asyncio

from structlog.testing import capture_logs

from gateway.errors import StoreUnavailableError
from gateway.runtime.periodic import about, repeat


async def test_failures_are_logged_and_end_nothing():
    faults: list[Exception | None] = [StoreUnavailableError("SlowDown"), ValueError("bug"), None]
    done = asyncio.Event()

    async def work() -> None:
        if fault := faults.pop(0):
            raise fault
        done.set()

    with capture_logs() as logged:
        repeating = asyncio.create_task(repeat(work, 0.001, failed="sweep.failed", of="probes"))
        await done.wait()
        repeating.cancel()
    assert [(entry["event"], entry["of"], entry["log_level"]) for entry in logged] == [
        ("sweep.failed", "probes", "warning"),
        ("sweep.failed", "probes", "error"),
    ]


def test_periods_differ_by_a_quarter_at_most():
    periods = {about(8) for _ in range(100)}
    assert 6 <= min(periods) < max(periods) <= 10
