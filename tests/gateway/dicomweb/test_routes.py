"""Store transactions before a real Triton: what is stored, and what is told."""

from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import httpx
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from gateway.observability.metrics.dicomweb import REASONS
from gateway.settings import AdmissionSettings
from gateway.studies.dicom_instance import FailureReason
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.http.routes.test_overload import at_work
from tests.preprocess import dicoms
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import (
    data_set,
    failed,
    is_processed,
    other_failures,
    related,
    store,
    stored,
)
from tests.support.gateway import (
    ROOT,
    LiveGateway,
    audit_trail,
    running_gateway,
    settings_for,
    until,
)
from tests.support.hostile import hostile_files, hostile_instances

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDIES = "/dicomweb/studies"
PART_LIMIT = 20_000


@pytest.fixture
def study() -> str:
    uid: str = generate_uid()
    return uid


async def test_instances_are_stored_and_processed(client: httpx.AsyncClient, study: str) -> None:
    sent = [radiograph(StudyInstanceUID=study) for _ in range(3)]
    response = await store(client, *map(file_of, sent))
    assert (response.status_code, response.headers["content-type"]) == (
        200,
        "application/dicom+json",
    )
    assert "warning" not in response.headers
    answer = data_set(response)
    assert stored(answer) == [image.SOPInstanceUID for image in sent]
    assert answer.RetrieveURL == f"{STUDIES}/{study}"
    [first, *_] = answer.ReferencedSOPSequence
    assert first.ReferencedSOPClassUID == sent[0].SOPClassUID
    assert first.RetrieveURL == (
        f"{STUDIES}/{study}/series/{sent[0].SeriesInstanceUID}/instances/{sent[0].SOPInstanceUID}"
    )
    assert set(answer.dir()) == {"RetrieveURL", "ReferencedSOPSequence"}
    await is_processed(client, study, 3)


async def test_an_instance_that_comes_again_is_stored_once(
    client: httpx.AsyncClient, study: str
) -> None:
    data = file_of(radiograph(StudyInstanceUID=study))
    for _ in range(2):
        assert (await store(client, data, data)).status_code == 200
        await is_processed(client, study, 1)


async def test_instances_of_several_studies_in_one_request(client: httpx.AsyncClient) -> None:
    sent = [radiograph() for _ in range(2)]
    answer = data_set(await store(client, *map(file_of, sent)))
    assert answer.RetrieveURL == ""
    for image in sent:
        await is_processed(client, image.StudyInstanceUID, 1)


def test_each_reason_is_counted_from_the_start() -> None:
    assert set(REASONS) == {"0000"} | {f"{reason:04X}" for reason in FailureReason}


async def test_one_bad_part_costs_no_other(gateway: LiveGateway, study: str) -> None:
    client = gateway.client
    before = await gateway.metric("radstream_stow_instances_total", reason="C122")
    good = radiograph(StudyInstanceUID=study)
    report = radiograph(StudyInstanceUID=study)
    del report.PixelData
    breast = radiograph(StudyInstanceUID=study, Modality="MG", BodyPartExamined="BREAST")
    movie = dicoms.compressed(dicoms.np.zeros((4, 4), "u1"), b"\0\0\1\xb3")
    movie.SOPInstanceUID = generate_uid()
    nameless = radiograph(StudyInstanceUID="")
    unknown = radiograph(StudyInstanceUID=study)
    del unknown.SOPInstanceUID
    cut = file_of(broken := radiograph(StudyInstanceUID=study))
    response = await store(
        client,
        b"no DICOM",
        file_of(report),
        file_of(breast),
        dicoms.write(movie, "1.2.840.10008.1.2.4.100"),
        file_of(nameless),
        cut[: cut.index(b"\x08\0\x16\0")] + b"\xff" * 500,
        file_of(good),
        dicoms.write(unknown),
        dicoms.write(unknown).replace(b"1.2.3.4\0", b"x.y.z.a\0"),
        b"",
    )
    assert response.status_code == 202
    assert response.headers["warning"] == '299 radstream "9 of 10 instances failed"'
    answer = data_set(response)
    assert stored(answer) == [good.SOPInstanceUID]
    assert failed(answer) == [
        (report.SOPInstanceUID, 0x0122),
        (breast.SOPInstanceUID, 0x0122),
        (movie.SOPInstanceUID, 0xC122),
        (nameless.SOPInstanceUID, 0xC000),
        (broken.SOPInstanceUID, 0xC000),
        ("1.2.3.4", 0xC000),
    ]
    assert other_failures(answer) == [0xC000] * 3
    await gateway.comes_to(before + 1, "radstream_stow_instances_total", reason="C122")
    await is_processed(client, study, 1)


async def test_a_study_in_the_path_takes_its_own_instances_alone(
    gateway: LiveGateway, study: str
) -> None:
    own, foreign = radiograph(StudyInstanceUID=study), radiograph()
    path = f"{STUDIES}/{study}"
    response = await store(gateway.client, file_of(foreign), path=path)
    assert response.status_code == 409
    answer = data_set(response)
    assert answer.RetrieveURL == path
    assert failed(answer) == [(foreign.SOPInstanceUID, 0xA900)]
    response = await store(gateway.client, file_of(own), file_of(foreign), path=path)
    assert response.status_code == 202
    assert stored(data_set(response)) == [own.SOPInstanceUID]
    await is_processed(gateway.client, study, 1)
    unheard = await gateway.client.get(f"/v1/studies/{foreign.StudyInstanceUID}")
    assert unheard.status_code == 404
    operation = f"POST {STUDIES}/{{study_instance_uid}}"
    assert [
        (record["outcome"], record["status"])
        for record in audit_trail(gateway.settings)
        if study in record["studies"] and record["operation"] == operation
    ] == [("failed", 409), ("partial", 202)]


async def test_another_patient_under_the_same_study_fails(
    client: httpx.AsyncClient, study: str
) -> None:
    sent = [radiograph(StudyInstanceUID=study, PatientID=name) for name in ("P1", "P2")]
    response = await store(client, file_of(sent[0]))
    assert response.status_code == 200
    response = await store(client, file_of(sent[1]))
    assert response.status_code == 409
    assert failed(data_set(response)) == [(sent[1].SOPInstanceUID, 0xC001)]


@pytest.mark.parametrize("content_type", ["application/dicom", "Application/DICOM; a=b"])
async def test_a_body_that_is_one_instance(
    client: httpx.AsyncClient, study: str, content_type: str
) -> None:
    image = radiograph(StudyInstanceUID=study)
    headers = {"Content-Type": content_type}
    response = await client.post(STUDIES, content=file_of(image), headers=headers)
    assert response.status_code == 200
    assert stored(data_set(response)) == [image.SOPInstanceUID]


async def test_a_body_in_chunks(client: httpx.AsyncClient, study: str) -> None:
    sent = [radiograph(StudyInstanceUID=study) for _ in range(5)]

    async def chunks() -> AsyncIterator[bytes]:
        body = related(*map(file_of, sent))
        for begin in range(0, len(body), 97):
            yield body[begin : begin + 97]

    headers = {"Content-Type": 'multipart/related; type=application/dicom; boundary="a b"'}
    response = await client.post(STUDIES, content=chunks(), headers=headers)
    assert response.status_code == 200
    assert stored(data_set(response)) == [image.SOPInstanceUID for image in sent]


async def test_a_body_that_breaks_off_costs_nothing_of_what_came_before(
    client: httpx.AsyncClient, study: str
) -> None:
    first, second = (radiograph(StudyInstanceUID=study) for _ in range(2))
    body = related(file_of(first), file_of(second))[:-100]
    headers = {"Content-Type": 'multipart/related; type=application/dicom; boundary="a b"'}
    response = await client.post(STUDIES, content=body, headers=headers)
    assert response.status_code == 202
    answer = data_set(response)
    assert (stored(answer), other_failures(answer)) == ([first.SOPInstanceUID], [0xC000])


async def test_the_answer_in_xml(client: httpx.AsyncClient, study: str) -> None:
    good = radiograph(StudyInstanceUID=study)
    response = await store(
        client, file_of(good), b"no DICOM", Accept="application/dicom+xml", path=STUDIES
    )
    assert response.headers["content-type"] == "application/dicom+xml"
    name = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
    root = ET.fromstring(response.text)  # noqa: S314 - the gateway's own
    assert root.tag == f"{name}NativeDicomModel"
    told = {
        element.attrib["keyword"]: (element.attrib["tag"], element.attrib["vr"])
        for element in root.findall(f"{name}DicomAttribute")
    }
    assert told == {
        "RetrieveURL": ("00081190", "UR"),
        "ReferencedSOPSequence": ("00081199", "SQ"),
        "OtherFailuresSequence": ("0008119A", "SQ"),
    }
    values = {
        element.attrib["keyword"]: value.text
        for element in root.iter(f"{name}DicomAttribute")
        for value in element.findall(f"{name}Value")
    }
    assert values["ReferencedSOPInstanceUID"] == good.SOPInstanceUID
    assert values["FailureReason"] == str(0xC000)
    assert [item.attrib for item in root.iter(f"{name}Item")] == [{"number": "1"}] * 2


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        (STUDIES, {"Content-Type": "text/plain"}, b"x", 415),
        (STUDIES, {"Content-Type": "multipart/related; type=application/dicom"}, b"x", 400),
        (STUDIES, {"Content-Type": "multipart/related; boundary=b"}, b"x", 400),
        (STUDIES, {"Content-Type": "multipart/related; boundary=b"}, b"--b--\r\n", 400),
        (STUDIES, {"Content-Type": "application/dicom", "Accept": "text/html"}, b"x", 406),
        (STUDIES, {"Content-Type": "application/dicom", "Content-Encoding": "gzip"}, b"x", 415),
        (STUDIES, {"Content-Type": "application/dicom"}, b"x", 409),
        (f"{STUDIES}/1.2.x", {"Content-Type": "application/dicom"}, b"x", 400),
    ],
)
async def test_requests_that_are_refused(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    response = await client.post(path, content=body, headers=headers)
    assert response.status_code == status


async def test_no_hostile_file_is_a_server_error(client: httpx.AsyncClient, study: str) -> None:
    picture = (ROOT / "tests/data/images/person931_bacteria_2856.jpeg").read_bytes()
    instances = hostile_instances(picture, study)
    files = hostile_files(picture) | {f"{name}, of a study": instances[name] for name in instances}
    together = await store(client, *files.values())
    assert together.status_code in {202, 409}
    for name, data in files.items():
        response = await store(client, data)
        assert response.status_code in {200, 409}, name
        assert Dataset.from_json(response.text), name

    async def none_is_read() -> bool:
        result = (await client.get(f"/v1/studies/{study}")).json()
        assert result["images"] == []
        return "pending" not in result

    await until(none_is_read)


@pytest.fixture(scope="module")
async def small(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway with room for one study of a caller, and for instances of 20,000 bytes."""
    settings = settings_for(
        triton.grpc_url, tmp_path_factory.mktemp("store"), body_bytes=PART_LIMIT
    ).model_copy(update={"admission": AdmissionSettings(studies=2, bytes=4 * PART_LIMIT)})
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield gateway


async def test_an_instance_that_is_too_large_costs_no_other(small: LiveGateway, study: str) -> None:
    large = radiograph(StudyInstanceUID=study, PixelData=bytes(PART_LIMIT))
    fitting = radiograph(StudyInstanceUID=study)
    answer = data_set(await store(small.client, file_of(large), file_of(fitting)))
    assert failed(answer) == [(large.SOPInstanceUID, 0xA700)]
    assert stored(answer) == [fitting.SOPInstanceUID]
    await is_processed(small.client, study, 1)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_that_is_one_instance_and_too_large(
    small: LiveGateway, *, announced: bool
) -> None:
    data = file_of(radiograph(PixelData=bytes(PART_LIMIT)))

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    headers = {"Content-Type": "application/dicom"}
    content = data if announced else chunks()
    response = await small.client.post(STUDIES, content=content, headers=headers)
    assert response.status_code == 413


async def test_a_request_may_be_larger_than_the_room_for_bodies(
    small: LiveGateway, study: str
) -> None:
    pixels = bytes(range(150)) * 100
    sent = [
        radiograph(StudyInstanceUID=study, Rows=100, Columns=150, PixelData=pixels)
        for _ in range(20)
    ]
    response = await store(small.client, *map(file_of, sent))
    assert response.status_code == 200
    assert len(stored(data_set(response))) == 20
    await is_processed(small.client, study, 20)


async def test_a_request_without_room_is_refused_as_a_whole(
    small: LiveGateway, triton: EmbeddedTriton, study: str
) -> None:
    data = file_of(radiograph(StudyInstanceUID=study))
    async with at_work(small, triton):
        for _ in range(2):  # by the application, then before it
            response = await store(small.client, data)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
    assert (await store(small.client, data)).status_code == 200
    refused = await small.metric(
        "radstream_http_requests_total", route=STUDIES, method="POST", status="503"
    )
    assert refused == 2
