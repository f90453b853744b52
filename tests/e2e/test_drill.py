"""A few rounds of the fault drill; `bench.drill` holds many, with more faults."""

import random
from pathlib import Path

import pytest

from tests.support.drill import settled, verdict
from tests.support.drill_faults import COMMON, WORKERS, rounds
from tests.support.drill_sites import folder_place
from tests.support.triton import running_triton

FAULTS = COMMON | WORKERS


@pytest.mark.timeout(300)  # it goes as fast as the machine starts processes
@pytest.mark.parametrize(
    ("workers", "names"),
    [
        (1, ["gateway killed", "writes refused", "Triton stopped"]),
        (2, ["worker killed", "gateway killed", "worker stopped"]),
    ],
)
async def test_nothing_accepted_is_lost_or_stored_twice_whatever_fails(
    repository: Path, tmp_path: Path, workers: int, names: list[str]
):
    order = [(name, FAULTS[name]) for name in names]
    rng = random.Random(7)  # noqa: S311 - the same faults every time
    async with (
        running_triton(repository) as triton,
        folder_place(triton.grpc_url, tmp_path, timeout_s=3.0, workers=workers) as (place, load),
    ):
        async with load.running(pause_s=0.3):
            held = [held async for held in rounds(place, load, order, rng, (0.5, 1.5))]
        await settled(place.site, load, 60)
        found = await verdict(place.site, load)
    assert [item.fault for item in held] == names
    assert found.faults() == {}
    assert load.unexpected == []
    assert found.read + len(found.parked) == len(load.accepted) >= len(names)
    assert len(place.site.slots[0].lives) + len(place.site.slots[1].lives) == 3
