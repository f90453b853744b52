"""Studies whose view nobody told, before a model that was made for some views and one for any."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset

from tests.support.dicom import file_of, radiograph
from tests.support.gateway import metadata, metric, multipart, running_gateway, settings_for, until
from tests.support.models import contract, flat_png, write_model, write_repository
from tests.support.triton import running_triton

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway with `brightness`, for AP and PA, and `unviewed`."""
    folder = tmp_path_factory.mktemp("views")
    repository = write_repository(folder / "models")
    write_model(repository, "unviewed", document=contract({"accepts": {"views": []}}))
    async with (
        running_triton(repository) as triton,
        running_gateway(settings_for(triton.grpc_url, folder / "store")) as gateway,
    ):
        await until(gateway.is_ready)
        yield gateway.client


async def sent(
    client: httpx.AsyncClient, document: dict[str, Any] | None, image: bytes
) -> dict[str, Any]:
    answer = await client.post("/v1/studies", **multipart(document, image))
    return answer.json() | {"http": answer.status_code}


def model_of(image: dict[str, Any]) -> str:
    [reading] = image["readings"]
    name: str = reading["model"]["name"]
    return name


async def test_a_study_without_a_view_is_for_the_model_that_takes_any(client: httpx.AsyncClient):
    result = await sent(client, metadata(view=None), flat_png(90))
    [image] = result["images"]
    assert (model_of(image), "view" in image) == ("unviewed", False)
    stored = await client.get(f"/v1/studies/{result['study_id']}")
    assert stored.json()["images"] == result["images"]
    assert (await client.get(image["preview"])).status_code == 200
    assert (await client.get("/v1/studies")).status_code == 200


async def test_a_view_is_told_to_the_model_that_asks_for_it(client: httpx.AsyncClient):
    [image] = (await sent(client, metadata(view="AP SUPINE"), flat_png(91)))["images"]
    assert (model_of(image), image["view"]) == ("brightness", "AP")


async def test_a_model_that_is_named_asks_for_its_view_too(client: httpx.AsyncClient):
    problem = await sent(client, metadata(view=None, model="brightness"), flat_png(92))
    assert (problem["http"], [error["pointer"] for error in problem["errors"]]) == (422, ["/view"])


async def test_a_model_that_is_named_and_was_not_made_for_the_view_finds_nothing_positive(
    client: httpx.AsyncClient,
):
    result = await sent(client, metadata(view="LL", model="brightness"), flat_png(250))
    [image] = result["images"]
    [reading] = image["readings"]
    assert (model_of(image), image["view"]) == ("brightness", "LATERAL")
    assert reading["applicable"] == {
        "verdict": "not_applicable",
        "reason": "was made for AP, PA views, not for the view LATERAL",
    }
    [finding] = reading["findings"]
    assert finding["probability"] > finding["threshold"]
    assert "positive" not in finding
    assert [warning["pointer"] for warning in result["warnings"]] == ["/model"]
    assert (await client.get(reading["heatmap"])).status_code == 200
    before = result["study_id"][:-1]  # so that the page has this study
    page = (await client.get("/v1/studies", params={"after": before, "limit": 200})).json()
    [listed] = [item for item in page["studies"] if item["study_id"] == result["study_id"]]
    assert listed["positive"] == []
    text = (await client.get("/metrics")).text
    name, labels = "radstream_findings_total", {"model": "brightness", "version": "1"}
    assert metric(text, name, **labels, label="bright", positive="not_applicable") == 1


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"PatientOrientation": ["F", "L"]}, "picture that lies on its side"),
        ({"PatientOrientation": ["R", "H"]}, "picture that is upside down"),
        ({"QualityControlImage": "YES"}, "picture of a phantom or test object"),
    ],
)
async def test_a_picture_that_no_model_is_made_for_gets_no_verdict(
    client: httpx.AsyncClient, attributes: dict[str, Any], told: str
):
    file = file_of(radiograph(StudyDate="20260131", **attributes))
    result = await sent(client, None, file)
    assert result["http"] == 200
    [reading] = result["images"][0]["readings"]
    assert reading["applicable"]["verdict"] == "not_applicable"
    assert reading["applicable"]["reason"] == f"was made for no {told}"
    assert "positive" not in reading["findings"][0]
    [warning] = [each for each in result["warnings"] if each["pointer"] == "/model"]
    assert f"brightness was made for no {told}; its findings may mean nothing" in warning["detail"]


async def test_a_radiograph_whose_view_is_coded_is_read(client: httpx.AsyncClient):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = "399348003", "SCT"
    dataset = radiograph(ViewPosition=None, ViewCodeSequence=[item])
    result = await sent(client, None, file_of(dataset))
    [image] = result["images"]
    assert (model_of(image), image["view"]) == ("brightness", "AP")
    assert result["study_instance_uid"] == dataset.StudyInstanceUID
    assert (image["series_instance_uid"], image["sop_instance_uid"]) == (
        dataset.SeriesInstanceUID,
        dataset.SOPInstanceUID,
    )
