"""What a POST must be made of, and what is said where it is not."""

import asyncio
import json
import struct
import zlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import structlog
from structlog.testing import capture_logs

from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
)
from tests.support.models import flat_png, png

BLACK = png(np.zeros((32, 32), np.uint8))
JPEG = (Path(__file__).parents[3] / "data" / "images" / "person931_bacteria_2856.jpeg").read_bytes()


@pytest.fixture(scope="module")
async def small(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway with limits that a test can reach."""
    limits = {"metadata_bytes": 500, "parts": 4, "image_pixels": 64 * 64}
    folder = tmp_path_factory.mktemp("store")
    async with running_gateway(settings_for(triton.grpc_url, folder, **limits)) as gateway:
        yield gateway


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares this size and has hardly a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, str]:
    """The faults of a problem, by pointer."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (answer.status_code, document["type"]) == (status, f"urn:radstream:problem:{kind}")
    assert document["status"] == status
    assert document["instance"] == f"urn:radstream:request:{answer.headers['x-request-id']}"
    return {fault["pointer"]: fault["detail"] for fault in document.get("errors", [])}


async def post(gateway: LiveGateway, **request: Any) -> httpx.Response:
    return await gateway.client.post("/v1/studies", **request)


# Bad input: what is sent, the answer's status and kind, and the part it names.
BAD: dict[str, tuple[dict[str, Any], int, str, list[str]]] = {
    "no metadata": (multipart(None, flat_png(0)), 422, "invalid-parts", ["metadata"]),
    "metadata twice": (
        {"files": [("metadata", b"{}"), ("metadata", b"{}"), ("image", flat_png(0))]},
        422,
        "invalid-parts",
        ["metadata"],
    ),
    "no image": (multipart(metadata()), 422, "invalid-parts", ["image"]),
    "no image, and a part of another name": (
        {"files": [("metadata", b"{}"), ("picture", flat_png(0))]},
        422,
        "invalid-parts",
        ["image", "part[1]"],
    ),
    "a part without a name": (
        {
            "content": b"--b\r\nContent-Disposition: form-data; name=metadata\r\n\r\n{}\r\n"
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
        422,
        "invalid-parts",
        ["image", "part[1]"],
    ),
    "empty metadata": (multipart(b"", flat_png(0)), 422, "invalid-metadata", [""]),
    "metadata in Latin-1": (
        multipart('{"study_id": "Jürgen"}'.encode("latin-1"), flat_png(0)),
        422,
        "invalid-metadata",
        [""],
    ),
    "metadata of another kind": (multipart(b"[1]", flat_png(0)), 422, "invalid-metadata", [""]),
    "incomplete metadata": (
        multipart({"study_id": "a"}, flat_png(0)),
        422,
        "invalid-metadata",
        ["/timestamp"],
    ),
    "no view for models that name theirs": (
        multipart(metadata(view=None), flat_png(0)),
        422,
        "invalid-metadata",
        ["/view"],
    ),
    "two headers about different studies": (
        {
            "content": flat_png(0),
            "headers": [
                ("Content-Type", "image/png"),
                ("RadStream-Metadata", json.dumps(metadata(patient_id="P-1"))),
                ("RadStream-Metadata", json.dumps(metadata(patient_id="P-2"))),
            ],
        },
        422,
        "invalid-parts",
        ["RadStream-Metadata"],
    ),
    "a header that differs from the part": (
        multipart(metadata(patient_id="P-1"), flat_png(0))
        | {"headers": {"RadStream-Metadata": json.dumps(metadata(patient_id="P-2"))}},
        422,
        "invalid-parts",
        ["RadStream-Metadata"],
    ),
    "metadata nested deep": (
        multipart(b'{"x":' + b"[" * 300 + b"]" * 300 + b"}", flat_png(0)),
        422,
        "invalid-metadata",
        [f"/x{'/0' * 63}"],
    ),
    "a size other than the pixels'": (
        multipart(metadata(image_size={"width": 33, "height": 32}), flat_png(0)),
        422,
        "invalid-metadata",
        ["/image_size"],
    ),
    "an empty image": (multipart(metadata(), b""), 415, "unsupported-image", ["image[0]"]),
    "an image that is none": (
        multipart(metadata(), b"%PDF-1.7 ..."),
        415,
        "unsupported-image",
        ["image[0]"],
    ),
    "a truncated JPEG": (
        multipart(metadata(), JPEG[: len(JPEG) // 2]),
        422,
        "unreadable-image",
        ["image[0]"],
    ),
    "a truncated PNG and a truncated JPEG": (
        multipart(metadata(), flat_png(9)[:-20], JPEG[:-2000]),
        422,
        "unreadable-image",
        ["image[0]", "image[1]"],
    ),
    "a PNG that declares 60000x60000": (
        multipart(metadata(), png_header(60_000, 60_000)),
        413,
        "image-too-large",
        ["image[0]"],
    ),
    "a black picture": (multipart(metadata(), BLACK), 422, "no-contrast", ["image[0]"]),
    "a black picture in DICOM, with all of it outside of its window": (
        {"files": [("image", ("a", file_of(radiograph(WindowCenter="900", WindowWidth="9"))))]},
        422,
        "no-contrast",
        ["image[0]"],
    ),
    "a blank picture and a truncated one": (
        multipart(metadata(), BLACK, JPEG[:-2000]),
        422,
        "unreadable-image",
        ["image[0]", "image[1]"],
    ),
    "a model nobody serves": (
        multipart(metadata(model="mammography"), flat_png(0)),
        422,
        "unknown-model",
        [],
    ),
    "a study no model reads": (
        multipart(metadata(body_part="HAND"), flat_png(0)),
        422,
        "no-model-accepts",
        [],
    ),
    "no multipart": ({"json": {}}, 415, "unsupported-content-type", []),
    "no Content-Type": ({"content": b"x"}, 415, "unsupported-content-type", []),
    "no boundary": (
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "malformed-request",
        [],
    ),
    "no end": (
        {
            "content": b"--b\r\nContent-Disposition: form-data; name=metadata\r\n\r\n{}\r\n",
            "headers": {"Content-Type": "multipart/form-data; boundary=b"},
        },
        400,
        "malformed-request",
        [],
    ),
    "one image without its header": (
        {"content": flat_png(0), "headers": {"Content-Type": "image/png"}},
        422,
        "invalid-parts",
        ["metadata"],
    ),
    "one image of no bytes": (
        {
            "content": b"",
            "headers": {"Content-Type": "image/png", "RadStream-Metadata": json.dumps(metadata())},
        },
        415,
        "unsupported-image",
        ["body"],
    ),
    "one image with a header that is no JSON": (
        {
            "content": flat_png(0),
            "headers": [(b"Content-Type", b"image/png"), (b"RadStream-Metadata", b"\xfc")],
        },
        422,
        "invalid-metadata",
        [""],
    ),
}


@pytest.mark.parametrize(("request_", "status", "kind", "places"), BAD.values(), ids=BAD)
async def test_bad_input_is_named_and_nothing_is_stored(
    gateway: LiveGateway, request_: dict[str, Any], status: int, kind: str, places: list[str]
):
    before = await gateway.at_rest()
    answer = await post(gateway, **request_)
    assert list(problem(answer, status, kind)) == places
    assert await gateway.at_rest() == before


@pytest.mark.parametrize("name", BAD)
async def test_operator_finds_bad_input_by_its_request_id(small: LiveGateway, name: str):
    request, *_ = BAD[name]
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as events:
        answer = await post(small, **request)
    request_id = answer.headers["x-request-id"]
    [line] = [event for event in events if event.get("request_id") == request_id]
    assert line["event"] in {"study.failed", "request.refused"}
    assert line["error"].endswith("Error")


async def test_refused_metadata_count_as_a_study_that_failed(small: LiveGateway):
    count = partial(
        small.metric, "radstream_studies_total", route="rest", outcome="InvalidMetadataError"
    )
    before = await count()
    await post(small, **multipart(metadata(view="UP"), flat_png(0)))
    assert await count() == before + 1


async def test_every_limit_is_reached_and_no_further(small: LiveGateway):
    document = metadata()
    padded = metadata(x="")
    padded["x"] = "x" * (500 - len(json.dumps(padded, separators=(",", ":"))))
    square = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    longer = padded | {"x": padded["x"] + "x"}
    images = [flat_png(level) for level in range(4)]

    assert (await post(small, **multipart(document, *images[:3]))).is_success
    problem(await post(small, **multipart(document, *images)), 413, "too-many-parts")
    assert (await post(small, **multipart(padded, images[0]))).is_success
    found = problem(await post(small, **multipart(longer, images[0])), 422, "invalid-metadata")
    assert found == {"": "is longer than 500 bytes"}
    assert (await post(small, **multipart(metadata(), png(square)))).is_success
    answer = await post(small, **multipart(metadata(), png(square.repeat(2, 0))))
    assert list(problem(answer, 413, "image-too-large")) == ["image[0]"]


async def test_metadata_may_come_as_a_file_and_after_the_image(client: httpx.AsyncClient):
    document = metadata()
    answer = await client.post(
        "/v1/studies",
        files=[
            ("image", ("a.png", flat_png(255), "text/plain")),
            ("metadata", ("sidecar.json", json.dumps(document), "application/octet-stream")),
        ],
    )
    assert answer.status_code == 200
    assert answer.json()["images"][0]["media_type"] == "image/png"


async def test_one_image_may_be_the_whole_body(client: httpx.AsyncClient):
    document = metadata(patient_id="Jürgen")
    answer = await client.post(
        "/v1/studies",
        content=JPEG,
        headers={
            "Content-Type": "image/jpeg; x=y",
            "RadStream-Metadata": json.dumps(document, ensure_ascii=True),
        },
    )
    assert answer.status_code == 200
    image = answer.json()["images"][0]
    assert (image["rows"], image["columns"]) == (712, 984)


async def test_the_same_header_twice_counts_once(client: httpx.AsyncClient):
    field = ("RadStream-Metadata", json.dumps(metadata()))
    headers = [("Content-Type", "image/jpeg"), field, field]
    answer = await client.post("/v1/studies", content=JPEG, headers=headers)
    assert answer.status_code == 200


async def test_a_header_may_stand_for_the_part(client: httpx.AsyncClient):
    document = metadata()
    answer = await client.post(
        "/v1/studies",
        files=[("image", ("a.jpg", JPEG, "image/jpeg"))],
        headers={"RadStream-Metadata": json.dumps(document)},
    )
    assert (answer.status_code, answer.json()["study_id"]) == (200, document["study_id"])


async def test_optional_words_that_are_not_understood_cost_no_study(client: httpx.AsyncClient):
    document = metadata(
        body_part="Brrrst", laterality="MIDDLE", modality=["CR"], study_date="2026-13-01"
    )
    answer = await client.post("/v1/studies", **multipart(document, JPEG))
    assert answer.status_code == 200
    assert answer.json()["warnings"] == [
        {"pointer": pointer, "detail": "is not understood and left out"}
        for pointer in ("/body_part", "/laterality", "/modality", "/study_date")
    ]


async def test_the_bytes_decide_not_the_label(client: httpx.AsyncClient):
    answer = await client.post(
        "/v1/studies",
        content=flat_png(7),
        headers={
            "Content-Type": "image/jpeg",
            "RadStream-Metadata": json.dumps(metadata()),
        },
    )
    assert answer.json()["images"][0]["media_type"] == "image/png"


async def test_many_bad_requests_at_once_are_each_told_of_their_own(gateway: LiveGateway):
    answers = await asyncio.gather(*(post(gateway, **bad[0]) for bad in BAD.values()))
    assert [answer.status_code for answer in answers] == [bad[1] for bad in BAD.values()]
