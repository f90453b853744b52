"""Two gateways replaced one after the other under load: nobody who sends studies notices."""

from collections import Counter
from pathlib import Path

import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import client_of
from tests.support.models import flat_png
from tests.support.rolling import Gateways, balancing, load

ROUNDS = 3


@pytest.mark.timeout(400)  # it starts eight processes, one after the other
async def test_no_request_fails_while_every_gateway_is_replaced(
    triton: EmbeddedTriton, tmp_path: Path
):
    environment = {
        "RADSTREAM_STORE__FOLDER": str(tmp_path / "store"),
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        # A machine that is busy with other tests is no reason to refuse a study here.
        "RADSTREAM_ADMISSION__STUDIES": "1000",
    }
    async with balancing(tmp_path) as balancer:
        gateways = Gateways(balancer, environment)
        try:
            for place in range(len(balancer.ports)):
                await gateways.start(place)
            pictures = [flat_png(level) for level in range(0, 256, 5)]
            async with load(balancer.url, pictures, per_second=5) as tally:
                for _ in range(ROUNDS):
                    for place in range(len(balancer.ports)):
                        await gateways.replace(place)
            assert tally.outcomes == Counter({"200": len(tally.accepted)})
            assert len(tally.accepted) > ROUNDS
            async with client_of(balancer.url) as client:
                for study_id in tally.accepted:
                    stored = await client.get(f"/v1/studies/{study_id}")
                    assert stored.json()["status"] == "completed"
        finally:
            await gateways.stop()
