"""Lanes before a real Triton: a flood of research keeps no emergency waiting."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.settings import RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    suspended,
    until,
)
from tests.support.models import flat_png
from tests.support.triton import running_triton

RULES = [
    {"name": lane, "when": {"field": "metadata.study_id", "glob": f"{lane}-*"}, "lane": lane}
    for lane in ("stat", "research")
]
DOCUMENT = {"schema": "radstream.routing/1", "rules": RULES, "otherwise": {}}
FLOOD = 20


@pytest.fixture
async def own_triton(repository: Path) -> AsyncIterator[EmbeddedTriton]:
    """A Triton that is stopped while studies come."""
    async with running_triton(repository) as triton:
        yield triton


@pytest.fixture
async def gateway(own_triton: EmbeddedTriton, tmp_path: Path) -> AsyncIterator[LiveGateway]:
    """A gateway with one thread for images, and so with two turns."""
    path = tmp_path / "routing.json"
    path.write_text(json.dumps(DOCUMENT))
    settings = settings_for(own_triton.grpc_url, tmp_path / "store")
    limits = settings.limits.model_copy(update={"image_threads": 1})
    update = {"routing": RoutingSettings(file=path), "limits": limits}
    async with running_gateway(settings.model_copy(update=update)) as gateway:
        await until(gateway.is_ready)
        yield gateway


@pytest.mark.server
async def test_a_study_in_stat_passes_a_flood_of_research(
    gateway: LiveGateway, own_triton: EmbeddedTriton
):
    studies = [*(f"research-{number}" for number in range(FLOOD)), "ward-1", "stat-1"]
    with suspended(own_triton):
        for number, study_id in enumerate(studies):
            answer = await gateway.client.post(
                "/v1/studies",
                headers={"Prefer": "respond-async"},
                **multipart(metadata(study_id=study_id), flat_png(number)),
            )
            assert answer.status_code == 202, answer.text
    completed: dict[str, str] = {}

    async def all_are() -> bool:
        for study_id in studies:
            view = (await gateway.client.get(f"/v1/studies/{study_id}")).json()
            if view["status"] == "completed":
                completed[study_id] = view["completed_at"]
        return len(completed) == len(studies)

    await until(all_are)
    order = sorted(studies, key=completed.__getitem__)
    # Two were at work as they came; what is taken beside them may end before.
    assert order.index("stat-1") <= 3, order
    assert order.index("ward-1") <= 4, order
    await gateway.comes_to(1, "radstream_lane_seconds_count", lane="stat")
    await gateway.comes_to(FLOOD, "radstream_lane_seconds_count", lane="research")
