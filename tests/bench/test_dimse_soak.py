"""Probes and fifty associations leave the gateway as it was, in the time that CI has for it."""

from pathlib import Path

import pytest

from bench.dimse_probes import Usage
from bench.dimse_soak import ASSOCIATIONS, SAMPLES, grown, soak
from gateway.triton.embedded import EmbeddedTriton


@pytest.mark.server
async def test_nothing_grows_and_nothing_is_refused(triton: EmbeddedTriton, tmp_path: Path):
    traffic, seen = await soak(20, triton.grpc_url, tmp_path)
    assert (traffic.refused, traffic.faults) == ([], [])
    assert traffic.associations > ASSOCIATIONS
    assert traffic.stored > ASSOCIATIONS
    assert traffic.probes > ASSOCIATIONS
    assert grown(seen) == []


@pytest.mark.parametrize("grows", ["rss_bytes", "threads", "files"])
def test_growth_is_told(grows: str):
    flat = {"rss_bytes": 200 * 2**20, "threads": 20, "files": 30}
    samples = range(SAMPLES)
    steps = [
        Usage(**flat | {grows: flat[grows] + number * flat[grows] // 25}) for number in samples
    ]
    assert [each.split(":")[0] for each in grown(steps)] == [grows]
    assert grown([Usage(**flat) for _ in samples]) == []
