"""A judgement is kept with its study, and counts once as truth about the model that is judged."""

from pathlib import Path

from gateway.monitoring.counts import ReadingCounts, TruthCounts, merged
from gateway.schemas.metadata import PROBE_PREFIX
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import metadata, multipart, running_gateway, settings_for, until
from tests.support.models import flat_png

BRIGHT = {"label": "bright", "author": "Dr. A"}


async def test_the_latest_judgement_of_each_author_counts(triton: EmbeddedTriton, tmp_path: Path):
    settings = settings_for(triton.grpc_url, tmp_path / "store")
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        client = gateway.client
        for study_id, level in (("S1", 255), ("S2", 1), (f"{PROBE_PREFIX}1", 255)):
            sent = multipart(metadata(study_id=study_id), flat_png(level))
            assert (await client.post("/v1/studies", **sent)).status_code == 200
        for study_id, judgement in (
            *(("S1", "agree"), ("S1", "disagree"), ("S1", "disagree"), ("S2", "agree")),
            (f"{PROBE_PREFIX}1", "agree"),
        ):
            path = f"/v1/studies/{study_id}/feedback"
            answer = await client.post(path, json=BRIGHT | {"judgement": judgement})
            assert answer.status_code == 200, answer.text
    minutes = (tmp_path / "store/monitoring/minutes").rglob("brightness.*.json")
    counts = merged(ReadingCounts.model_validate_json(each.read_text()) for each in minutes)
    assert counts.readings == 2
    assert counts.truth == {"bright": TruthCounts(false_positive=1, true_negative=1)}


async def test_the_same_judgement_again_is_none_to_count(triton: EmbeddedTriton, tmp_path: Path):
    settings = settings_for(triton.grpc_url, tmp_path / "store")
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        client = gateway.client
        sent = multipart(metadata(study_id="S1"), flat_png(255))
        assert (await client.post("/v1/studies", **sent)).status_code == 200
        answers = [
            (await client.post("/v1/studies/S1/feedback", json=BRIGHT | {"judgement": "agree"}))
            for _ in range(2)
        ]
    first, second = (answer.json()["feedback"] for answer in answers)
    assert first == second
    minutes = (tmp_path / "store/monitoring/minutes").rglob("brightness.*.json")
    judged = [ReadingCounts.model_validate_json(each.read_text()).truth for each in minutes]
    assert [each for each in judged if each] == [{"bright": TruthCounts(true_positive=1)}]
