"""A few kills after a C-STORE's answer; `bench.dimse_kills` does thirty."""

from pathlib import Path

import pytest

from bench.dimse_kills import Verdict, drill
from gateway.triton.embedded import EmbeddedTriton


@pytest.mark.timeout(300)  # it goes as fast as the machine starts processes
async def test_every_success_becomes_one_reading(triton: EmbeddedTriton, tmp_path: Path):
    sent, verdict = await drill(3, 1, triton.grpc_url, tmp_path)
    assert verdict == Verdict((), ())
    assert sent.refused == []
    assert len(sent.stored) >= 3
