"""HEAD is answered wherever GET is: the same status and header fields, no body."""

import httpx
import pytest
from pydicom.dataset import Dataset

from tests.support.connections import connected, head
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import LiveGateway, audit_trail

LISTS = {"/v1/studies", "/dicomweb/studies", "/dicomweb/series", "/dicomweb/instances"}
# Of each answer alone.
OWN = {"date", "x-request-id", "traceparent"}


def fields(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in OWN}


@pytest.fixture
async def original(gateway: LiveGateway) -> Dataset:
    """The data set of a study that is processed."""
    dataset = radiograph()
    sent = ("image", ("a.dcm", file_of(dataset), "application/dicom"))
    answer = await gateway.client.post("/v1/studies", files=[sent])
    assert answer.status_code == 200, answer.text
    return dataset


@pytest.fixture
def study(original: Dataset) -> str:
    """Path of a study that is processed."""
    return f"/v1/studies/{original.StudyInstanceUID}"


async def test_every_documented_get_has_a_head_of_the_same_fields(
    gateway: LiveGateway, original: Dataset
):
    client = gateway.client
    document = (await client.get("/openapi.json")).json()
    paths = [path for path, methods in document["paths"].items() if "get" in methods]
    assert {"/v1/studies/{study_id}/report.dcm", "/dicomweb/studies/{study_instance_uid}"} < {
        *paths
    }
    parameters = {
        "study_id": original.StudyInstanceUID,
        "study_instance_uid": original.StudyInstanceUID,
        "series_instance_uid": original.SeriesInstanceUID,
        "sop_instance_uid": original.SOPInstanceUID,
        "number": "1",
        "tag": "7FE00010",
        "frames": "1",
        "frame": "1",
        "frame_list": "1",
        "name": "brightness",
        "version": "1",
    }
    for template in paths:
        path = template.format_map(parameters)
        asked, told = await client.get(path), await client.head(path)
        assert (told.status_code, told.content) == (200, b""), path
        if path in {"/readyz", "/metrics"}:  # which tell something else each time
            assert told.headers["content-type"] == asked.headers["content-type"]
        elif path in LISTS:  # whose studies are other ones soon
            assert fields(told).keys() == fields(asked).keys(), path
        elif "transfer-encoding" in asked.headers:  # it is streamed, in parts for some paths
            assert fields(told).keys() == fields(asked).keys() - {"transfer-encoding"}, path
        else:
            assert fields(told) == fields(asked), path
            assert int(told.headers["content-length"]) == len(asked.content) > 0, path


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 307),
        ("/docs", 200),
        ("/docs/start.js", 200),
        ("/docs/assets/swagger-ui.css", 200),
        ("/openapi.json", 200),
        ("/nothing", 404),
        ("/v1/studies/none", 404),
        ("/v1/studies?limit=0", 422),
        ("/v1/events/s3", 405),
    ],
)
async def test_the_documentation_and_problems_have_it_too(
    client: httpx.AsyncClient, path: str, status: int
):
    asked, told = await client.get(path), await client.head(path)
    assert (asked.status_code, told.status_code, told.content) == (status, status, b"")
    different = {"content-length"} if status >= 400 else set()  # a problem names its request
    assert fields(told).keys() == fields(asked).keys()
    assert {
        name for name, value in fields(told).items() if asked.headers[name] != value
    } <= different


async def test_no_byte_of_a_body_follows_on_the_connection(gateway: LiveGateway, study: str):
    async with connected(gateway) as connection:
        for line in (f"HEAD {study} HTTP/1.1", "HEAD /nothing HTTP/1.1", "HEAD /docs HTTP/1.1"):
            await connection.send(head(line=line))
            told = await connection.reader.readuntil(b"\r\n\r\n")
            assert b"content-length: " in told
        await connection.send(head("Connection: close", line="HEAD /livez HTTP/1.1"))
        told, _, rest = (await connection.rest()).partition(b"\r\n\r\n")
        assert told.startswith(b"HTTP/1.1 200 ")
        assert rest == b""


@pytest.mark.parametrize("header", ["Host: other", f"X: {'x' * 70_000}"])
async def test_a_head_that_is_refused_before_any_route_gets_no_body_either(
    gateway: LiveGateway, header: str
):
    async with connected(gateway) as connection:
        await connection.send(head(header, line="HEAD /livez HTTP/1.1"))
        told, _, rest = (await connection.rest()).partition(b"\r\n\r\n")
        assert told.startswith(b"HTTP/1.1 4")
        assert b"content-type: application/problem+json" in told
        assert rest == b""


async def test_it_is_counted_and_recorded_as_what_it_is(gateway: LiveGateway, study: str):
    route = "/v1/studies/{study_id}"
    labels = {"route": route, "method": "HEAD", "status": "200"}
    before = await gateway.metric("radstream_http_requests_total", **labels)
    await gateway.client.head(study)
    await gateway.comes_to(before + 1, "radstream_http_requests_total", **labels)
    last = audit_trail(gateway.settings)[-1]
    assert (last["operation"], last["action"]) == (f"HEAD {route}", "R")


async def test_what_may_be_done_with_a_path_names_it(client: httpx.AsyncClient):
    answer = await client.put("/v1/models")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    answer = await client.put("/v1/studies")
    assert answer.headers["allow"] == "GET, HEAD, POST"
