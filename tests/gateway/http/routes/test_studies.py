"""Studies over HTTP, before a real Triton: sent, read, looked at, grown, contradicted."""

import asyncio
import hashlib
import json
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from fhir.resources.bundle import Bundle as R5Bundle
from fhir.resources.R4B.bundle import Bundle as R4BBundle
from numpy.typing import NDArray

from gateway.triton.embedded import EmbeddedTriton
from tests.preprocess import dicoms
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import LiveGateway, metadata, metric, multipart, suspended, until
from tests.support.models import flat_png, png, probability

INFERNO_TOP = (252, 255, 164)  # the brightest of matplotlib's inferno, which is its source


async def send(client: httpx.AsyncClient, document: dict[str, Any], *images: bytes) -> Any:
    answer = await client.post("/v1/studies", **multipart(document, *images))
    assert answer.status_code == 200, answer.text
    return answer.json()


def of_study(gateway: LiveGateway, document: dict[str, Any]) -> list[str]:
    """Return what is stored of a study; other tests' may come to an end meanwhile."""
    return [path for path in gateway.stored() if document["study_id"] in path]


def picture(answer: httpx.Response) -> NDArray[np.uint8]:
    """A PNG answer's samples: (rows, columns) of grey, or (rows, columns, red-green-blue)."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    samples = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert samples is not None
    return np.asarray(samples if samples.ndim == 2 else samples[..., ::-1], np.uint8)


def half_white() -> bytes:
    """The left half white, the right half black."""
    samples = np.zeros((64, 64), np.uint8)
    samples[:, :32] = 255
    return png(samples)


async def test_what_a_data_set_says_unusably_of_its_picture_is_a_warning(
    gateway: LiveGateway,
) -> None:
    dataset = radiograph(WindowCenter="20", WindowWidth="0", NumberOfFrames="0")
    image = ("image", ("a.dcm", file_of(dataset), "application/dicom"))
    answer = await gateway.client.post("/v1/studies", files=[image])
    assert answer.status_code == 200, answer.text
    warnings = answer.json()["warnings"]
    assert [warning for warning in warnings if "not usable" in warning["detail"]] == [
        {
            "pointer": "image[0]",
            "detail": "Number of Frames (0028,0008) is not usable and was taken as 1",
        },
        {
            "pointer": "image[0]",
            "detail": "Window Width (0028,1051) is not usable and was taken as absent",
        },
    ]


async def test_a_study_is_read_and_can_be_read_again(client: httpx.AsyncClient):
    document = metadata(patient_id="P-1", **{"wrist/band": "blue"})
    image = flat_png(255)
    result = await send(client, document, image)
    assert result["study_id"] == document["study_id"]
    assert result["status"] == "completed"
    assert result["warnings"] == [
        {"pointer": "/wrist~1band", "detail": "unknown field, kept with the study"}
    ]
    [read] = result["images"]
    assert read["sha256"] == hashlib.sha256(image).hexdigest()
    assert (read["number"], read["media_type"], read["view"]) == (1, "image/png", "AP")
    assert (read["rows"], read["columns"], read["bits_stored"]) == (32, 32, 8)
    assert (result["schema"], result["disclaimer"]) == (
        "radstream.result/2",
        "Not for clinical use.",
    )
    [reading] = read["readings"]
    assert reading["model"] == {
        "name": "brightness",
        "version": "1",
        "title": "Brightness",
        "intended_use": "Finds pictures brighter than mid-grey. For tests.",
    }
    assert (reading["mode"], reading["applicable"]) == ("live", {"verdict": "applicable"})
    [finding] = reading["findings"]
    assert finding["label"] == "bright"
    assert finding["probability"] == pytest.approx(0.982014, abs=1e-5)
    assert (finding["threshold"], finding["positive"]) == (0.5, True)
    assert {"decode", "tensor", "infer", "total"} <= reading["timings_ms"].keys()
    assert reading["completed_at"] == result["completed_at"] > read["received_at"]
    assert (await client.get(f"/v1/studies/{document['study_id']}")).json() == result
    assert "P-1" not in json.dumps(result)


async def test_several_images_are_numbered_and_each_read_for_itself(client: httpx.AsyncClient):
    levels = (0, 51, 204)
    result = await send(client, metadata(), *map(flat_png, levels))
    assert [image["number"] for image in result["images"]] == [1, 2, 3]
    by_digest = {image["sha256"]: image["readings"][0]["findings"][0] for image in result["images"]}
    for level in levels:
        finding = by_digest[hashlib.sha256(flat_png(level)).hexdigest()]
        assert finding["probability"] == pytest.approx(probability(level / 255), abs=1e-5)
        assert finding["positive"] == (level > 127)


async def test_the_same_image_again_is_answered_from_the_store(gateway: LiveGateway):
    document = metadata()
    first = await gateway.client.post("/v1/studies", **multipart(document, flat_png(9)))
    assert "idempotent-replayed" not in first.headers
    read = {"media_type": "image/png", "outcome": "read"}
    inferences = await gateway.metric("radstream_images_total", **read)
    again = await gateway.client.post("/v1/studies", **multipart(document, flat_png(9)))
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert await gateway.metric("radstream_images_total", **read) == inferences


async def test_a_study_grows_and_keeps_what_it_had(client: httpx.AsyncClient):
    document = metadata(accession_number="A-1")
    first = await send(client, document, flat_png(10))
    grown = await client.post("/v1/studies", **multipart(document, flat_png(10), flat_png(20)))
    assert "idempotent-replayed" not in grown.headers
    assert grown.json()["images"][0] == first["images"][0]
    assert [image["number"] for image in grown.json()["images"]] == [1, 2]
    without = {name: value for name, value in document.items() if name != "accession_number"}
    assert len((await send(client, without, flat_png(30)))["images"]) == 3


@pytest.mark.parametrize("attribute", ["patient_id", "accession_number"])
async def test_metadata_that_contradict_the_study_are_refused(gateway: LiveGateway, attribute: str):
    document = metadata(**{attribute: "first"})
    await send(gateway.client, document, flat_png(40))
    before = of_study(gateway, document)
    other = document | {attribute: "second"}
    answer = await gateway.client.post("/v1/studies", **multipart(other, flat_png(41)))
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:radstream:problem:study-conflict"
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [f"/{attribute}"]
    assert "first" not in answer.text
    assert "second" not in answer.text
    assert of_study(gateway, document) == before


async def test_senders_of_one_study_at_the_same_time_lose_nothing(client: httpx.AsyncClient):
    document = metadata()
    await asyncio.gather(*(send(client, document, flat_png(level)) for level in range(100, 108)))
    result = (await client.get(f"/v1/studies/{document['study_id']}")).json()
    assert len({image["sha256"] for image in result["images"]}) == 8


async def test_studies_are_listed_in_pages(client: httpx.AsyncClient):
    ids = sorted([(await send(client, metadata(), flat_png(1)))["study_id"] for _ in range(3)])
    page = (await client.get("/v1/studies", params={"limit": 2})).json()
    seen = [study["study_id"] for study in page["studies"]]
    assert len(seen) == 2
    while page.get("next"):
        page = (await client.get(page["next"])).json()
        seen += [study["study_id"] for study in page["studies"]]
    assert seen == sorted(set(seen))
    assert set(ids) <= set(seen)


async def test_a_listed_study_tells_what_was_found(client: httpx.AsyncClient):
    document = metadata()
    await send(client, document, flat_png(0), flat_png(255))
    study_id = document["study_id"]
    # The predecessor in the order of ids, so that the page begins with this study.
    before = study_id[:-1] + chr(ord(study_id[-1]) - 1)
    page = (await client.get("/v1/studies", params={"after": before, "limit": 1})).json()
    [study] = page["studies"]
    assert study["study_id"] == study_id
    assert (study["images"], study["positive"], study["status"]) == (2, ["bright"], "completed")
    assert study["href"] == f"/v1/studies/{study_id}"
    assert (await client.get(study["href"])).status_code == 200


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", f"after={'x' * 65}", "limit=-1"]
)
async def test_a_page_out_of_range_is_refused(client: httpx.AsyncClient, query: str):
    answer = await client.get(f"/v1/studies?{query}")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:radstream:problem:invalid-query"
    assert answer.json()["errors"][0]["pointer"] == f"query/{query.partition('=')[0]}"


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v1/studies/unknown", 404, "study-not-found"),
        ("/v1/studies/.hidden", 422, "invalid-query"),
        (f"/v1/studies/{'x' * 65}", 422, "invalid-query"),
        ("/v1/studies/..%2f..", 404, "not-found"),
        ("/v1/studies/unknown/images/1/preview.png", 404, "study-not-found"),
        ("/v1/studies/unknown/images/1/heatmap.png", 404, "study-not-found"),
        ("/v1/studies/unknown/images/0/preview.png", 422, "invalid-query"),
        ("/v1/studies/unknown/images/first/preview.png", 422, "invalid-query"),
        ("/v1/studies/unknown/images", 404, "not-found"),
    ],
)
async def test_what_is_not_there_is_a_problem(
    client: httpx.AsyncClient, path: str, status: int, kind: str
):
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:radstream:problem:{kind}")


async def test_an_image_beyond_the_last_is_not_there(client: httpx.AsyncClient):
    study_id = (await send(client, metadata(), flat_png(1), flat_png(2)))["study_id"]
    answer = await client.get(f"/v1/studies/{study_id}/images/3/preview.png")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "The study has no image 3; it has 2, numbered from 1."


async def test_a_preview_of_a_deep_image_is_as_dark_as_the_model_saw_it(client: httpx.AsyncClient):
    samples = np.linspace(1000, 16_000, 64 * 64).astype(np.uint16).reshape(64, 64)
    dataset = radiograph(WindowCenter="32768", WindowWidth="65536")
    dataset.update(dicoms.image(samples))
    sent = ("image", ("a.dcm", file_of(dataset), "application/dicom"))
    answer = await client.post("/v1/studies", files=[sent])
    assert answer.status_code == 200, answer.text
    [image] = answer.json()["images"]
    mean = samples.mean() / 65535
    [reading] = image["readings"]
    assert reading["findings"][0]["probability"] == pytest.approx(probability(mean), abs=1e-3)
    preview = picture(await client.get(image["preview"]))
    assert np.abs(preview / 255 - samples / 65535).max() <= 1 / 255
    heatmap = picture(await client.get(reading["heatmap"]))
    assert (heatmap[:64, :64] == preview[..., None]).all()  # nothing speaks for "bright"


async def test_a_preview_shows_the_image(client: httpx.AsyncClient):
    [image] = (await send(client, metadata(), half_white()))["images"]
    answer = await client.get(image["preview"])
    preview = picture(answer)
    assert preview.shape == (64, 64)
    assert (preview[:, :32] == 255).all()
    assert (preview[:, 32:] == 0).all()
    assert answer.headers["cache-control"] == "private, max-age=3600"


async def test_a_large_image_is_previewed_at_1024_pixels(client: httpx.AsyncClient):
    gradient = np.tile(np.linspace(0, 65535, 1500).astype(np.uint16), (750, 1))
    [image] = (await send(client, metadata(), png(gradient)))["images"]
    preview = picture(await client.get(image["preview"]))
    assert preview.shape == (512, 1024)
    assert preview[0, 0] < 5
    assert preview[0, -1] > 250


async def test_a_heat_map_is_bright_where_the_evidence_is(client: httpx.AsyncClient):
    [image] = (await send(client, metadata(), half_white()))["images"]
    plain = picture(await client.get(image["preview"]))
    heatmap = picture(await client.get(image["readings"][0]["heatmap"]))
    # 64 rows for the legend; never so narrow that the legend does not fit.
    assert heatmap.shape == (64 + 64, 320, 3)
    # Left: full evidence, 0.55 of the brightest colour over white. Right: none, the image itself.
    expected = [round(0.45 * 255 + 0.55 * value) for value in INFERNO_TOP]
    assert heatmap[32, 8] == pytest.approx(expected, abs=2)
    assert heatmap[32, 56].tolist() == [plain[32, 56]] * 3
    legend = heatmap[64:]
    assert legend.max() > 200


async def test_a_heat_map_can_be_asked_for_by_label(client: httpx.AsyncClient):
    [image] = (await send(client, metadata(), half_white()))["images"]
    link = image["readings"][0]["heatmap"]
    chosen = await client.get(link, params={"label": "bright"})
    assert chosen.content == (await client.get(link)).content
    answer = await client.get(link, params={"label": "Mustermann"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "query/label", "detail": "must be one of: bright"}
    ]


async def test_a_caller_who_leaves_stops_the_inference(
    gateway: LiveGateway, triton: EmbeddedTriton
):
    document = metadata()
    cancelled = {"route": "rest", "outcome": "cancelled"}
    count = await gateway.metric("radstream_studies_total", **cancelled)
    gone = {"route": "/v1/studies", "method": "POST", "status": "499"}
    left = await gateway.metric("radstream_http_requests_total", **gone)
    decoded = await gateway.metric("radstream_stage_seconds_count", stage="decode")

    async def is_at(name: str, value: float, **labels: str) -> bool:
        return await gateway.metric(name, **labels) == value

    with suspended(triton):
        request = gateway.client.post("/v1/studies", **multipart(document, flat_png(77)))
        leaving = asyncio.create_task(request)
        await until(lambda: is_at("radstream_stage_seconds_count", decoded + 1, stage="decode"))
        assert await is_at("radstream_studies_in_flight", 1)
        leaving.cancel()
        await until(lambda: is_at("radstream_studies_total", count + 1, **cancelled))
        assert await is_at("radstream_studies_in_flight", 0)
    await until(lambda: is_at("radstream_http_requests_total", left + 1, **gone))
    assert of_study(gateway, document) == []
    await until(gateway.is_ready)


async def test_outcomes_are_counted(gateway: LiveGateway):
    before = (await gateway.client.get("/metrics")).text
    document = metadata()
    await send(gateway.client, document, flat_png(255))
    await send(gateway.client, document, flat_png(255))
    await gateway.client.post("/v1/studies", **multipart(metadata(model="none"), flat_png(1)))
    after = (await gateway.client.get("/metrics")).text

    def rise(name: str, **labels: str) -> float:
        return metric(after, name, **labels) - metric(before, name, **labels)

    assert rise("radstream_studies_total", route="rest", outcome="completed") == 1
    assert rise("radstream_studies_total", route="rest", outcome="replayed") == 1
    assert rise("radstream_studies_total", route="rest", outcome="UnknownModelError") == 1
    finding = {"model": "brightness", "version": "1", "label": "bright", "positive": "true"}
    assert rise("radstream_findings_total", **finding) == 1


async def test_a_study_as_fhir(gateway: LiveGateway) -> None:
    sent = ("image", ("a.dcm", file_of(radiograph(PatientID="P-7")), "application/dicom"))
    answer = await gateway.client.post("/v1/studies", files=[sent])
    assert answer.status_code == 200, answer.text
    path = f"/v1/studies/{answer.json()['study_id']}"
    for version, validated in (("4.0", R4BBundle), ("5.0", R5Bundle)):
        accept = {"accept": f"application/fhir+json; fhirVersion={version}"}
        answer = await gateway.client.get(path, headers=accept)
        assert answer.headers["content-type"] == f"application/fhir+json; fhirVersion={version}"
        validated.model_validate_json(answer.text)
        report = answer.json()["entry"][0]["resource"]
        assert report["status"] == "preliminary"
        assert report["subject"]["identifier"]["value"] == "P-7"

    answer = await gateway.client.get(
        path, headers={"accept": "application/fhir+json; fhirVersion=3.0"}
    )
    assert answer.status_code == 406
    assert answer.json()["type"] == "urn:radstream:problem:not-acceptable"
