"""A few rounds of faults between studies and archives; `bench.delivery_faults` does fifty."""

from pathlib import Path

import pytest

from bench.delivery_faults import drill
from gateway.triton.embedded import EmbeddedTriton


@pytest.mark.timeout(300)  # it goes as fast as the machine starts processes
async def test_every_archive_that_comes_back_holds_one_of_each_rendering(
    triton: EmbeddedTriton, tmp_path: Path
):
    outcome = await drill(3, 4, triton.grpc_url, tmp_path)
    assert outcome.wrong == []
    assert outcome.states.total() == 6 * len(outcome.studies) > 0
    assert outcome.states["confirmed"] > 0
