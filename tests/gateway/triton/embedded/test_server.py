"""A server is live in time, or ended with its last words told."""

from pathlib import Path

import pytest

from gateway.triton.embedded import EmbeddedTriton, TritonStartError
from tests.gateway.triton.embedded.own_triton import names_in


@pytest.mark.server
async def test_server_that_is_not_live_in_time_is_ended_and_its_last_words_told(
    model_repository: Path, own_temporary_folder: Path
):
    triton = EmbeddedTriton(model_repository, start_timeout_s=1)
    with pytest.raises(TritonStartError, match=r"not live after 1 s") as caught:
        await triton.start()
    assert any("CUDA memory pool disabled" in line for line in caught.value.log_tail)
    assert not names_in(own_temporary_folder)
