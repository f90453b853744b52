"""Version 2 of the reference model beside version 1, in one Triton, each by its own contract."""

from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.support.gateway import ROOT, LiveGateway, metadata, multipart, running_gateway
from tests.support.gateway import settings_for as settings_of
from tests.support.models import png
from tests.support.triton import running_triton

IMAGES = ROOT / "tests/data/images"


@pytest.fixture(scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveGateway]:
    """A gateway of a Triton that serves the repository as it stands."""
    async with running_triton(ROOT / "model_repository") as triton:
        settings = settings_of(triton.grpc_url, tmp_path_factory.mktemp("store"))
        async with running_gateway(settings) as gateway:
            yield gateway


async def test_both_versions_prove_themselves_by_their_contracts(gateway: LiveGateway) -> None:
    models = (await gateway.client.get("/v1/models")).json()["models"]
    found = [(model["name"], model["version"], model["state"]) for model in models]
    assert sorted(found) == [("cxr_pneumonia", "1", "ready"), ("cxr_pneumonia", "2", "ready")]


@pytest.mark.parametrize(
    "image", sorted([*IMAGES.glob("person*.jpeg"), *IMAGES.glob("NORMAL2-*.jpeg")]), ids=str
)
async def test_version_2_answers_of_radiographs_but_of_none_turned(
    gateway: LiveGateway, image: Path
) -> None:
    upright = cv2.imread(str(image), cv2.IMREAD_GRAYSCALE)
    assert upright is not None
    sent = {"as it is": upright, "upside down": upright[::-1], "inverted": 255 - upright}
    for name, pixels in sent.items():
        document = metadata(model={"name": "cxr_pneumonia", "version": "2"})
        body = png(np.ascontiguousarray(pixels))
        answer = await gateway.client.post("/v1/studies", **multipart(document, body))
        assert answer.status_code == 200, answer.text
        [reading] = answer.json()["images"][0]["readings"]
        assert reading["model"]["version"] == "2"
        applicable = name == "as it is"
        verdict = "applicable" if applicable else "not_applicable"
        assert reading["applicable"]["verdict"] == verdict, name
        [finding] = reading["findings"]
        expected = image.stem.startswith("person") if applicable else None
        assert finding.get("positive") is expected, name
