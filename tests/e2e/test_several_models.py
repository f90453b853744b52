"""Two versions of the reference model and a DenseNet, which read the same radiographs."""

import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.serving.densenet import write_folder
from gateway.settings import RoutingSettings
from tests.support.gateway import (
    ROOT,
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.triton import running_triton

IMAGE = ROOT / "tests/data/images/person931_bacteria_2856.jpeg"
RULES = {
    "schema": "radstream.routing/1",
    "rules": [
        {
            "name": "chest",
            "when": {"field": "metadata.body_part", "equals": "CHEST"},
            "models": [
                {"name": "cxr_pneumonia", "version": "1"},
                {"name": "densenet121"},
                {"name": "cxr_pneumonia", "version": "2", "mode": "shadow"},
            ],
        }
    ],
}


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[LiveGateway]:
    repository, rules = tmp_path / "models", tmp_path / "rules.json"
    shutil.copytree(ROOT / "model_repository", repository)
    write_folder(repository)
    rules.write_text(json.dumps(RULES))
    async with running_triton(repository) as triton:
        settings = settings_for(triton.grpc_url, tmp_path / "store")
        settings = settings.model_copy(update={"routing": RoutingSettings(file=rules)})
        async with running_gateway(settings) as gateway:
            await until(gateway.is_ready)
            yield gateway


async def test_each_model_reads_and_the_one_in_trial_is_not_shown(gateway: LiveGateway) -> None:
    document = metadata(body_part="CHEST")
    answer = await gateway.client.post("/v1/studies", **multipart(document, IMAGE.read_bytes()))
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "completed"
    [image] = answer.json()["images"]
    read = {
        f"{reading['model']['name']} {reading['model']['version']}": reading
        for reading in image["readings"]
    }
    assert set(read) == {"cxr_pneumonia 1", "densenet121 1"}
    assert [each["label"] for each in read["cxr_pneumonia 1"]["findings"]] == ["pneumonia"]
    assert len(read["densenet121 1"]["findings"]) == 18
    assert ("heatmap" in read["cxr_pneumonia 1"], "heatmap" in read["densenet121 1"]) == (
        True,
        False,
    )
    trial = f"results/{document['study_id']}/shadows/{image['sha256']}/cxr_pneumonia-2.json"
    await until(lambda: trial in gateway.stored())
    shown = (await gateway.client.get(f"/v1/studies/{document['study_id']}")).text
    assert '"version":"2"' not in shown
