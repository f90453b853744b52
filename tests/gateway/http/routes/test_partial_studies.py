"""Studies of which some images cannot be processed: the others are, and what is missing is told."""

import hashlib
import json
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom.uid import generate_uid

from tests.support.dicom import file_of, radiograph
from tests.support.gateway import LiveGateway, audit_trail, metadata, multipart, until
from tests.support.models import png

PROBLEM = "urn:radstream:problem:"
ASYNC = {"Prefer": "respond-async"}


def striped(level: int, rows: int = 32) -> bytes:
    """A picture of this mean level, its upper half darker than its lower one."""
    samples = np.full((rows, 32), level - 30, np.uint8)
    samples[rows // 2 :] += 60
    return png(samples)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


GOOD, OTHER, THIRD = striped(60), striped(150), striped(200)
TRUNCATED = OTHER[:-20]


async def send(gateway: LiveGateway, document: Any, *images: bytes, **headers: str) -> Any:
    answer = await gateway.client.post(
        "/v1/studies", headers=headers, **multipart(document, *images)
    )
    assert answer.is_success, answer.text
    return answer.json()


async def view(gateway: LiveGateway, study_id: str) -> dict[str, Any]:
    result: dict[str, Any] = (await gateway.client.get(f"/v1/studies/{study_id}")).json()
    return result


def open_images(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Part, hash and kind of problem of what could not be processed."""
    return [
        (item["part"], item["sha256"], item["problem"]["type"].removeprefix(PROBLEM))
        for item in result.get("not_processed", [])
    ]


def chest(uid: str, **attributes: object) -> bytes:
    return file_of(radiograph(StudyInstanceUID=uid, **attributes))


async def test_good_image_is_stored_and_the_bad_one_told(gateway: LiveGateway):
    document = metadata()
    result = await send(gateway, document, GOOD, TRUNCATED)
    assert result["status"] == "partial"
    assert [image["sha256"] for image in result["images"]] == [digest(GOOD)]
    assert open_images(result) == [("image[1]", digest(TRUNCATED), "unreadable-image")]
    [item] = result["not_processed"]
    assert item["problem"]["status"] == 422
    assert [fault["pointer"] for fault in item["problem"]["errors"]] == ["image[1]"]
    assert await view(gateway, document["study_id"]) == result
    page = (await gateway.client.get("/v1/studies", params={"limit": 200})).json()
    [summary] = [i for i in page["studies"] if i["study_id"] == document["study_id"]]
    assert (summary["status"], summary["images"]) == ("partial", 1)


async def test_same_request_again_gives_the_same_answer(gateway: LiveGateway):
    document = metadata()
    first = await send(gateway, document, TRUNCATED, GOOD)
    answer = await gateway.client.post("/v1/studies", **multipart(document, TRUNCATED, GOOD))
    assert (answer.json(), answer.headers["Idempotent-Replayed"]) == (first, "true")
    assert open_images(first) == [("image[0]", digest(TRUNCATED), "unreadable-image")]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (TRUNCATED, "unreadable-image"),
        (b"%PDF-1.7 ...", "unsupported-image"),
        (b"", "unsupported-image"),
        (striped(90, rows=40), "invalid-metadata"),  # not of the size that was declared
        (png(np.zeros((32, 32), np.uint8)), "no-contrast"),
        (png(np.zeros((1, 1), np.uint8)), "no-contrast"),
    ],
)
async def test_whatever_is_wrong_with_one_image_is_its_own(
    gateway: LiveGateway, bad: bytes, kind: str
):
    document = metadata(image_size={"width": 32, "height": 32})
    result = await send(gateway, document, bad, GOOD, bad, OTHER)
    assert [image["sha256"] for image in result["images"]] == [digest(GOOD), digest(OTHER)]
    assert open_images(result) == [("image[0]", digest(bad), kind)]


async def test_view_that_no_model_takes_costs_only_its_own_image(gateway: LiveGateway):
    """The lateral of a pair; and a damaged header, another modality, a part that is no DICOM."""
    uid = generate_uid()
    front, side = chest(uid), chest(uid, ViewPosition="LL")
    foot = chest(uid, Modality="MR")
    damaged = front[:200]
    result = await send(gateway, None, front, side, foot, damaged, GOOD)
    assert [image["sha256"] for image in result["images"]] == [digest(front)]
    assert open_images(result) == [
        ("image[1]", digest(side), "no-model-accepts"),
        ("image[2]", digest(foot), "no-model-accepts"),
        ("image[3]", digest(damaged), "unreadable-image"),
        ("image[4]", digest(GOOD), "invalid-parts"),
    ]


async def test_metadata_of_one_data_set_cost_only_its_own_image(gateway: LiveGateway):
    uid = generate_uid()
    front, other = chest(uid), chest(uid, Modality="CR")
    result = await send(gateway, {"modality": "DX"}, front, other)
    assert [image["sha256"] for image in result["images"]] == [digest(front)]
    assert open_images(result) == [("image[1]", digest(other), "invalid-metadata")]


@pytest.mark.parametrize(
    "attributes", [{"PatientID": "P2"}, {"PatientID": "P2", "ViewPosition": "LL"}]
)
@pytest.mark.parametrize("document", [None, {"patient_id": "P1"}])
async def test_another_patient_beside_refuses_the_whole_request(
    gateway: LiveGateway, attributes: dict[str, str], document: dict[str, str] | None
):
    uid = generate_uid()
    images = chest(uid, PatientID="P1"), chest(uid, **attributes)
    answer = await gateway.client.post("/v1/studies", **multipart(document, *images))
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {"/patient_id"}
    assert (await gateway.client.get(f"/v1/studies/{uid}")).status_code == 404


async def test_patient_of_an_image_that_is_refused_for_its_metadata_counts_too(
    gateway: LiveGateway,
):
    uid = generate_uid()
    images = chest(uid, PatientID="P1"), chest(uid, PatientID="P2", Modality="CR")
    answer = await gateway.client.post("/v1/studies", **multipart({"modality": "DX"}, *images))
    assert answer.status_code == 422
    assert "/patient_id" in {fault["pointer"] for fault in answer.json()["errors"]}


async def test_stored_patient_refuses_the_whole_request(gateway: LiveGateway):
    document = metadata(patient_id="P1")
    before = await send(gateway, document, GOOD)
    answer = await gateway.client.post(
        "/v1/studies", **multipart(document | {"patient_id": "P2"}, OTHER, TRUNCATED)
    )
    assert answer.status_code == 409
    assert await view(gateway, document["study_id"]) == before


async def test_where_none_can_be_processed_every_part_is_named(gateway: LiveGateway):
    uid = generate_uid()
    side, damaged = chest(uid, ViewPosition="LL"), chest(uid)[:200]
    answer = await gateway.client.post("/v1/studies", **multipart(None, side, damaged, GOOD))
    assert (answer.status_code, answer.json()["type"]) == (422, f"{PROBLEM}unreadable-image")
    told = [" ".join(fault.values()) for fault in answer.json()["errors"]]
    assert ["image[0]" in told[0], "image[1]" in told[1], "image[2]" in told[2]] == [True] * 3
    assert (await gateway.client.get(f"/v1/studies/{uid}")).status_code == 404


# --- sent again, mended ---------------------------------------------------------------------------


async def test_request_sent_again_with_the_image_mended_is_complete(gateway: LiveGateway):
    document = metadata()
    await send(gateway, document, TRUNCATED, GOOD)
    result = await send(gateway, document, OTHER, GOOD)
    assert (result["status"], open_images(result)) == ("completed", [])
    assert len(result["images"]) == 2
    assert await view(gateway, document["study_id"]) == result


async def test_image_sent_again_alone_is_taken_for_the_one_that_is_open(gateway: LiveGateway):
    document = metadata()
    await send(gateway, document, GOOD, TRUNCATED)
    result = await send(gateway, document, OTHER)
    assert (result["status"], open_images(result)) == ("completed", [])


async def test_same_bytes_are_taken_once_their_metadata_are_mended(gateway: LiveGateway):
    uid = generate_uid()
    front, other = chest(uid), chest(uid, Modality="CR")
    await send(gateway, {"modality": "DX"}, front, other)
    result = await send(gateway, None, other)
    assert (result["status"], open_images(result)) == ("completed", [])


async def test_what_does_not_mend_an_image_leaves_it_open(gateway: LiveGateway):
    document = metadata()
    await send(gateway, document, GOOD, TRUNCATED)
    for images, change in (
        ([GOOD], {}),  # was there before
        ([OTHER], {"view": "PA"}),  # another view
        ([THIRD, striped(100)], {}),  # another request
        ([THIRD, GOOD], {}),  # the image under the name was there before
    ):
        result = await send(gateway, document | change, *images)
        assert result["status"] == "partial"
        assert open_images(result) == [("image[1]", digest(TRUNCATED), "unreadable-image")]


async def test_image_sent_alone_mends_none_of_two(gateway: LiveGateway):
    document = metadata()
    await send(gateway, document, GOOD, TRUNCATED, b"no image")
    result = await send(gateway, document, OTHER)
    assert [part for part, _, _ in open_images(result)] == ["image[1]", "image[2]"]
    result = await send(gateway, document, GOOD, OTHER, b"no image")
    assert [part for part, _, _ in open_images(result)] == ["image[2]"]


async def test_dicom_file_is_known_again_by_its_sop_instance_uid(gateway: LiveGateway):
    study, uids = generate_uid(), [generate_uid() for _ in range(3)]
    bad = [chest(study, SOPInstanceUID=uid, ViewPosition="XYZ") for uid in uids[1:]]
    result = await send(gateway, None, chest(study, SOPInstanceUID=uids[0]), *bad)
    assert [part for part, _, _ in open_images(result)] == ["image[1]", "image[2]"]
    result = await send(gateway, None, chest(study, SOPInstanceUID=uids[2]))
    assert [part for part, _, _ in open_images(result)] == ["image[1]"]
    result = await send(gateway, None, chest(study, SOPInstanceUID=uids[1]))
    assert (result["status"], open_images(result)) == ("completed", [])


async def test_one_sop_instance_uid_for_two_images_mends_none(gateway: LiveGateway):
    study, uid = generate_uid(), generate_uid()
    good = chest(study, SOPInstanceUID=uid)
    await send(gateway, None, good, chest(study, SOPInstanceUID=uid, ViewPosition="XYZ"))
    result = await send(gateway, None, good)
    assert [part for part, _, _ in open_images(result)] == ["image[1]"]


# --- who knows of it ------------------------------------------------------------------------------


async def test_metrics_and_audit_know_it(gateway: LiveGateway):
    document = metadata()

    async def ended(outcome: str) -> float:
        return await gateway.metric("radstream_studies_total", route="rest", outcome=outcome)

    before = await ended("partial"), await ended("completed")
    await send(gateway, document, GOOD, TRUNCATED)
    await send(gateway, document, GOOD, TRUNCATED)  # again, answered from the store
    assert (await ended("partial"), await ended("completed")) == (before[0] + 2, before[1])
    records = [
        record["outcome"]
        for record in audit_trail(gateway.settings)
        if document["study_id"] in record["studies"]
    ]
    assert records == ["partial", "partial"]


async def test_deleting_the_study_takes_what_is_open_along(gateway: LiveGateway):
    document = metadata()
    await send(gateway, document, GOOD, TRUNCATED)
    path = f"/v1/studies/{document['study_id']}"
    assert (await gateway.client.delete(path)).status_code == 204
    closing = f"results/{document['study_id']}/result.json"
    assert [key for key in gateway.stored() if document["study_id"] in key] == [closing]
    stored = (gateway.settings.store.folder / closing).read_text()
    assert json.loads(stored).keys() == {"schema", "closing"}


# --- answered before it is read -------------------------------------------------------------------


async def ended(client: httpx.AsyncClient, study_id: str) -> dict[str, Any]:
    """The study's view once nothing of it is pending."""

    async def is_over() -> bool:
        answer = (await client.get(f"/v1/studies/{study_id}")).json()
        return bool(answer["status"] != "pending")

    await until(is_over)
    result: dict[str, Any] = (await client.get(f"/v1/studies/{study_id}")).json()
    return result


@pytest.mark.parametrize(
    ("bad", "kind"), [(b"no image", "unsupported-image"), (TRUNCATED, "unreadable-image")]
)
async def test_good_image_is_accepted_with_a_bad_one_and_stored(
    gateway: LiveGateway, bad: bytes, kind: str
):
    document = metadata()
    await send(gateway, document, bad, GOOD, **ASYNC)
    result = await ended(gateway.client, document["study_id"])
    assert result["status"] == "partial"
    assert [image["sha256"] for image in result["images"]] == [digest(GOOD)]
    assert open_images(result) == [("image[0]", digest(bad), kind)]
    assert not result.get("failures")
    await send(gateway, document, OTHER, GOOD, **ASYNC)
    result = await ended(gateway.client, document["study_id"])
    assert (result["status"], len(result["images"])) == ("completed", 2)


async def test_lateral_beside_a_front_is_accepted_and_told(gateway: LiveGateway):
    uid = generate_uid()
    front, side = chest(uid), chest(uid, ViewPosition="LL")
    await send(gateway, None, front, side, **ASYNC)
    result = await ended(gateway.client, uid)
    assert (result["status"], len(result["images"])) == ("partial", 1)
    assert open_images(result) == [("image[1]", digest(side), "no-model-accepts")]


async def test_request_without_any_good_image_is_refused_at_once(gateway: LiveGateway):
    uid = generate_uid()
    side = chest(uid, ViewPosition="LL")
    answer = await gateway.client.post(
        "/v1/studies", headers=ASYNC, **multipart(None, side, b"no image")
    )
    assert answer.status_code == 422
    told = [" ".join(fault.values()) for fault in answer.json()["errors"]]
    assert ["image[0]" in told[0], "image[1]" in told[1]] == [True, True]
