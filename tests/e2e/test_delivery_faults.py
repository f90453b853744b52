"""A few rounds of faults between studies and destinations; `bench.delivery_faults` does fifty."""

from pathlib import Path

import pytest

from bench.delivery_faults import drill
from gateway.triton.embedded import EmbeddedTriton


@pytest.mark.timeout(600)  # it goes as fast as the machine starts processes
async def test_every_destination_that_comes_back_has_each_result_once(
    triton: EmbeddedTriton, tmp_path: Path
):
    outcome = await drill(3, 388, triton.grpc_url, tmp_path)
    assert outcome.wrong == []
    assert outcome.states.total() == 9 * len(outcome.studies) + outcome.resent > 0
    assert outcome.states["confirmed"] >= 2 * len(outcome.studies)
    assert outcome.notices >= len(outcome.studies)
    assert outcome.reports > 0
