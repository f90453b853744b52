"""Sweeps are repeated, and what they do to studies is on record under their name."""

import asyncio

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.audit.trail import Audit, name_study
from gateway.observability.metrics import Metrics
from gateway.work.periodic import Sweep, sweep_for_ever
from tests.support.audit import Trail
from tests.support.gateway import until


async def test_a_sweep_goes_on_after_a_failure_and_is_on_record():
    trail, faults = Trail(), [RuntimeError("bug")]

    class Swept:
        async def sweep(self) -> None:
            if faults:
                raise faults.pop()
            name_study("S1")

    audit = Audit(trail, Metrics(CollectorRegistry()), instance="here")
    with capture_logs() as logs:
        task = asyncio.create_task(sweep_for_ever(Sweep.RETENTION, Swept(), audit, 0.01))
        await until(lambda: len(trail.records) > 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    # A gateway that other tests share may log meanwhile.
    told = [(entry["event"], entry["of"]) for entry in logs if "of" in entry]
    assert told == [("sweep.failed", "retention")]
    assert trail.records[0]["operation"] == "sweep: retention"
    assert trail.records[0]["studies"] == ["S1"]
