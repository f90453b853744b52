"""Wherever a picture becomes the model's tensor, the findings are the same."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from gateway.models.build import build_placements, models_with_contract
from gateway.triton.embedded import EmbeddedTriton
from preprocess import decode
from tests.preprocess import dicoms
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import ROOT, LiveGateway, metadata, multipart, running_gateway
from tests.support.gateway import settings_for as settings_of
from tests.support.models import png
from tests.support.triton import running_triton

IMAGES = sorted(path for path in (ROOT / "tests/data/images").iterdir() if path.suffix != ".md")
# One grey level of 255 moves the reference model's probability by less than this.
TOLERANCE = 0.003


@pytest.fixture(scope="module")
async def placed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedTriton]:
    """A Triton with the reference model and the ensembles built for it."""
    repository = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "model_repository", repository, dirs_exist_ok=True)
    for name in models_with_contract(repository):
        build_placements(repository, name)
    async with running_triton(repository) as triton:
        yield triton


@pytest.fixture(scope="module", params=["gateway", "triton", "triton, shared memory"])
async def gateway(
    request: pytest.FixtureRequest, placed: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    placement, _, shared = request.param.partition(", ")
    settings = settings_of(placed.grpc_url, tmp_path_factory.mktemp("store"))
    triton = settings.triton.model_copy(
        update={"placement": placement, "shared_memory_bytes": 2**26 if shared else 0}
    )
    async with running_gateway(settings.model_copy(update={"triton": triton})) as gateway:
        yield gateway


async def probability(client: httpx.AsyncClient, image: Path) -> float:
    # By name, past the routing: not every committed image is a chest.
    document = metadata(model="cxr_pneumonia", view=None if image.suffix == ".dcm" else "AP")
    if image.stem.startswith("cr_hip"):
        document["view"] = "OTHER"
    response = await client.post("/v1/studies", **multipart(document, image.read_bytes()))
    assert response.status_code == 200, response.text
    [reading] = response.json()["images"][0]["readings"]
    found: float = reading["findings"][0]["probability"]
    return found


@pytest.fixture(scope="module")
def seen() -> dict[str, float]:
    """What the first placement said of each image."""
    return {}


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
async def test_every_placement_finds_the_same(
    gateway: LiveGateway, image: Path, seen: dict[str, float]
) -> None:
    found = await probability(gateway.client, image)
    assert found == pytest.approx(seen.setdefault(image.name, found), abs=TOLERANCE)


@pytest.mark.parametrize("bits", [8, 12, 16])
async def test_a_window_that_is_left_out_changes_nothing(gateway: LiveGateway, bits: int) -> None:
    """A radiograph of so many bits in 16, without a window, is that of 8 bits."""
    [frame] = decode(next(path for path in IMAGES if path.suffix == ".jpeg").read_bytes())
    deep = np.round(frame.samples * (((1 << bits) - 1) / 255)).astype(np.uint16)
    found = []
    for samples in (frame.samples, deep):
        dataset = radiograph()
        dataset.update(dicoms.image(samples))
        sent = ("image", ("a.dcm", file_of(dataset), "application/dicom"))
        response = await gateway.client.post("/v1/studies", files=[sent])
        assert response.status_code == 200, response.text
        found.append(response.json()["images"][0]["readings"][0]["findings"][0]["probability"])
    assert found[1] == pytest.approx(found[0], abs=TOLERANCE)


async def test_a_blank_picture_is_refused(gateway: LiveGateway) -> None:
    document = metadata(model="cxr_pneumonia")
    black = png(np.zeros((300, 200), np.uint8))
    response = await gateway.client.post("/v1/studies", **multipart(document, black))
    assert response.status_code == 422
    assert response.json()["type"] == "urn:radstream:problem:no-contrast"


async def test_the_ensembles_are_no_models_of_their_own(gateway: LiveGateway) -> None:
    models = (await gateway.client.get("/v1/models")).json()["models"]
    told = sorted((model["name"], model["version"], model["state"]) for model in models)
    assert told == [("cxr_pneumonia", "1", "ready"), ("cxr_pneumonia", "2", "ready")]


async def test_the_ensemble_is_what_reads(gateway: LiveGateway, placed: EmbeddedTriton) -> None:
    image = next(path for path in IMAGES if path.suffix == ".jpeg")
    async with httpx.AsyncClient(trust_env=False) as client:
        before = await executions(client, placed, "cxr_pneumonia_uint8")
        await probability(gateway.client, image)
        after = await executions(client, placed, "cxr_pneumonia_uint8")
    in_triton = gateway.settings.triton.placement == "triton"
    assert (after > before) == in_triton


async def executions(client: httpx.AsyncClient, triton: EmbeddedTriton, model: str) -> float:
    text = (await client.get(triton.metrics_url)).text
    lines = [
        line
        for line in text.splitlines()
        if line.startswith("nv_inference_request_success") and f'model="{model}"' in line
    ]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)
