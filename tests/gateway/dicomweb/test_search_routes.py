"""Searches by QIDO-RS over stored studies, beside what pydicom reads and Orthanc answers."""

import datetime as dt
import hashlib
import io
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import is_processed, store
from tests.support.gateway import ROOT, LiveGateway, audit_trail, until
from tests.support.orthanc import Orthanc, running_orthanc

TODAY = dt.datetime.now(dt.UTC).strftime("%Y%m%d")
# The same in each process that collects these tests.
STUDY, SERIES = "2.25.314159265358979", "2.25.314159265358979.1"
PATIENT = f"P{STUDY[-12:]}"


def instance(number: int, **attributes: object) -> Dataset:
    usual: dict[str, object] = {
        "StudyInstanceUID": STUDY,
        "PatientID": PATIENT,
        "PatientName": "Größe^Ida",
        "PatientBirthDate": "19700203",
        "PatientSex": "F",
        "SpecificCharacterSet": "ISO_IR 100",
        "AccessionNumber": f"A{STUDY[-12:]}",
        "StudyDate": TODAY,
        "StudyTime": "101112",
        "StudyID": "7",
        "ReferringPhysicianName": "",
        "SeriesInstanceUID": SERIES,
        "SeriesNumber": "1",
        "InstanceNumber": str(number),
    }
    return radiograph(**usual | attributes)


SENT = [instance(1), instance(2), instance(1, SeriesInstanceUID=generate_uid(), SeriesNumber="2")]
FILES = [file_of(image) for image in SENT]


async def found(client: httpx.AsyncClient, path: str, **query: object) -> list[Dataset]:
    """The data sets of an answer, which are valid DICOM JSON."""
    answer = await client.get(f"/dicomweb{path}", params=dict(query))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    return [Dataset.from_json(json.dumps(each)) for each in answer.json()]


@pytest.fixture(scope="module", autouse=True)
async def studies(gateway: LiveGateway) -> None:
    """The studies, once they are in the index."""
    assert (await store(gateway.client, *FILES)).status_code == 200
    await is_processed(gateway.client, STUDY, 3)

    async def is_indexed() -> bool:
        return (
            len(
                await found(
                    gateway.client, "/studies", StudyDate=TODAY, PatientID=f"*{PATIENT[1:]}"
                )
            )
            == 1
        )

    await until(is_indexed)


@pytest.fixture(scope="module")
async def orthanc(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Orthanc]:
    """An Orthanc that holds the same instances."""
    async with running_orthanc(tmp_path_factory.mktemp("orthanc")) as orthanc:
        for data in FILES:
            await orthanc.keep(data)
        yield orthanc


@pytest.mark.parametrize(
    "query",
    [
        {"StudyInstanceUID": STUDY},
        {"0020000D": f"1.2.3,{STUDY}"},
        {"PatientID": PATIENT},
        {"AccessionNumber": f"A{STUDY[-12:]}", "ModalitiesInStudy": "CR,DX"},
        {"PatientID": f"?{PATIENT[1:8]}*", "StudyDate": f"{TODAY}-"},
        {"PatientID": PATIENT, "StudyDate": f"-{TODAY}", "AccessionNumber": "*"},
    ],
)
async def test_a_study_is_found_by_the_usual_keys(
    client: httpx.AsyncClient, query: dict[str, object]
) -> None:
    [study] = await found(client, "/studies", **query)
    assert study.StudyInstanceUID == STUDY
    assert (study.PatientID, study.PatientName) == (PATIENT, "Größe^Ida")
    assert (study.StudyDate, study.StudyTime, study.StudyID) == (TODAY, "101112", "7")
    assert study.ModalitiesInStudy == "DX"
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (2, 3)
    assert study.InstanceAvailability == "ONLINE"
    assert study.RetrieveURL == f"/dicomweb/studies/{STUDY}"
    assert study.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize(
    "query",
    [
        {"PatientID": "nobody"},
        {"PatientID": PATIENT, "StudyDate": "20200101-20200131"},
        {"StudyInstanceUID": STUDY, "ModalitiesInStudy": "CT"},
    ],
)
async def test_what_does_not_match_is_not_found(
    client: httpx.AsyncClient, query: dict[str, object]
) -> None:
    assert await found(client, "/studies", **query) == []


async def test_series_and_instances_of_a_study(client: httpx.AsyncClient) -> None:
    series = await found(client, f"/studies/{STUDY}/series")
    series.sort(key=lambda each: each.SeriesNumber)
    assert [each.NumberOfSeriesRelatedInstances for each in series] == [2, 1]
    assert (series[0].SeriesInstanceUID, series[0].Modality) == (SERIES, "DX")
    assert series[0].RetrieveURL == f"/dicomweb/studies/{STUDY}/series/{SERIES}"
    instances = await found(client, f"/studies/{STUDY}/series/{SERIES}/instances")
    assert {each.SOPInstanceUID for each in instances} == {
        image.SOPInstanceUID for image in SENT[:2]
    }
    for each in instances:
        assert (each.Rows, each.Columns, each.BitsAllocated) == (6, 8, 8)
        assert each.AvailableTransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert len(await found(client, f"/studies/{STUDY}/instances")) == 3
    [one] = await found(
        client, "/instances", StudyInstanceUID=STUDY, SOPInstanceUID=SENT[2].SOPInstanceUID
    )
    assert one.SeriesInstanceUID == SENT[2].SeriesInstanceUID
    [one] = await found(client, "/series", PatientID=PATIENT, SeriesInstanceUID=SERIES)
    assert (one.StudyInstanceUID, one.PatientName) == (STUDY, "Größe^Ida")
    assert await found(client, f"/studies/{STUDY}/series", Modality="CT") == []
    assert await found(client, "/studies/1.2.3.4.999/series") == []


async def test_attributes_behind_long_private_ones_are_found(client: httpx.AsyncClient) -> None:
    study = generate_uid()
    image = instance(1, StudyInstanceUID=study, PatientID=study[-12:])
    image.add_new(0x00090010, "LO", "RADSTREAM TEST")
    image.add_new(0x00091001, "OB", b"x" * 100_000)
    assert (await store(client, file_of(image))).status_code == 200
    await is_processed(client, study, 1)
    [found_study] = await found(client, "/studies", StudyInstanceUID=study)
    assert (found_study.PatientName, found_study.StudyID) == ("Größe^Ida", "7")


async def test_pages_and_fields_that_are_asked_for(client: httpx.AsyncClient) -> None:
    path = f"/studies/{STUDY}/instances"
    pages = [await found(client, path, limit=1, offset=at) for at in range(4)]
    assert [len(page) for page in pages] == [1, 1, 1, 0]
    assert len({page[0].SOPInstanceUID for page in pages[:3]}) == 3
    [first] = await found(client, path, limit=1, includefield="ViewPosition,00180015")
    assert (first.ViewPosition, first.BodyPartExamined) == ("AP", "CHEST")
    [whole] = await found(client, path, limit=1, includefield="all")
    stored = next(
        dcmread(io.BytesIO(data))
        for data, image in zip(FILES, SENT, strict=True)
        if image.SOPInstanceUID == whole.SOPInstanceUID
    )
    assert {element.tag for element in stored} - {element.tag for element in whole} == {0x7FE00010}


async def test_warnings_tell_of_the_days_of_more_and_of_fuzziness(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/dicomweb/studies?fuzzymatching=true&limit=1")
    warning = answer.headers["warning"]
    assert '299 radstream "The fuzzymatching parameter is not supported.' in warning
    week = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=6)
    assert f'299 radstream "Only studies received from {week} to' in warning
    answer = await client.get(f"/dicomweb/studies?StudyInstanceUID={STUDY}")
    assert "warning" not in answer.headers
    answer = await client.get(f"/dicomweb/studies/{STUDY}/instances?limit=1")
    assert answer.headers["warning"] == (
        '299 radstream "There are additional results that can be requested."'
    )


# The first is refused as the keys are read, the second by the search.
@pytest.mark.parametrize("query", ["Nonsense=1", "StudyDate=20200101-20260101"])
async def test_bad_keys_are_bad_requests(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/dicomweb/studies?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["type"] == "urn:radstream:problem:malformed-request"


async def test_xml_is_not_made(client: httpx.AsyncClient) -> None:
    accept = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    assert (await client.get("/dicomweb/studies", headers=accept)).status_code == 406


async def test_pictures_that_are_no_dicom_do_not_appear(
    client: httpx.AsyncClient,
) -> None:
    uid = generate_uid()
    document = {
        "study_id": uid,
        "timestamp": "2026-11-28T10:00:00Z",
        "view": "AP",
        "patient_id": uid[-12:],
    }
    picture = (ROOT / "tests/data/images/nih_00000001_000.png").read_bytes()
    answer = await client.post(
        "/v1/studies",
        files={
            "metadata": ("m.json", json.dumps(document), "application/json"),
            "image": ("i.png", picture, "image/png"),
        },
    )
    assert answer.status_code == 200, answer.text
    assert await found(client, "/studies", PatientID=uid[-12:]) == []
    assert await found(client, f"/studies/{uid}/series") == []
    assert (await client.get(f"/dicomweb/studies/{uid}")).status_code == 404


async def test_an_instance_whose_file_is_lost_costs_the_others_nothing(
    gateway: LiveGateway,
) -> None:
    client, study, patient = gateway.client, generate_uid(), "LOST-FILE"
    lost, kept = (
        radiograph(StudyInstanceUID=study, PatientID=patient, SeriesInstanceUID=generate_uid())
        for _ in range(2)
    )
    assert (await store(client, file_of(lost), file_of(kept))).status_code == 200
    await is_processed(client, study, 2)
    digest = hashlib.sha256(file_of(lost)).hexdigest()
    [file] = (gateway.settings.store.folder / "results" / study / "images" / digest).iterdir()
    file.unlink()

    path = f"/studies/{study}"
    told = {each.SOPInstanceUID: each for each in await found(client, f"{path}/instances")}
    assert told.keys() == {lost.SOPInstanceUID, kept.SOPInstanceUID}
    assert told[kept.SOPInstanceUID].InstanceAvailability == "ONLINE"
    assert told[kept.SOPInstanceUID].Rows == kept.Rows
    assert told[lost.SOPInstanceUID].InstanceAvailability == "UNAVAILABLE"
    assert told[lost.SOPInstanceUID].SeriesInstanceUID == lost.SeriesInstanceUID
    assert "Rows" not in told[lost.SOPInstanceUID]
    assert len(await found(client, f"{path}/series")) == 2
    [one] = await found(client, f"{path}/instances", Modality=kept.Modality)
    assert one.SOPInstanceUID == kept.SOPInstanceUID

    async def is_indexed() -> bool:
        return len(await found(client, "/studies", PatientID=patient)) == 1

    await until(is_indexed)
    [whole] = await found(client, "/studies", PatientID=patient)
    assert whole.StudyInstanceUID == study
    assert whole.NumberOfStudyRelatedInstances == 2


async def test_a_search_is_on_record_with_the_studies_that_it_found(gateway: LiveGateway) -> None:
    await found(gateway.client, "/studies", PatientID=PATIENT)
    record = audit_trail(gateway.settings)[-1]
    assert (record["operation"], record["studies"]) == ("GET /dicomweb/studies", [STUDY])


@pytest.mark.parametrize(
    ("path", "unlike"),
    [
        (f"/studies?StudyInstanceUID={STUDY}", set()),
        (f"/studies/{STUDY}/series", set()),
        (f"/studies/{STUDY}/series/{SERIES}/instances", set()),
    ],
)
async def test_orthanc_answers_the_same(
    client: httpx.AsyncClient, orthanc: Orthanc, path: str, unlike: set[str]
) -> None:
    ours = (await client.get(f"/dicomweb{path}")).json()
    theirs = (await orthanc.client.get(f"/dicom-web{path}")).json()
    assert len(ours) == len(theirs)
    key = "0020000D" if path.startswith("/studies?") else "0020000E"
    key = "00080018" if path.endswith("/instances") else key
    by_uid = {each[key]["Value"][0]: each for each in theirs}
    for each in ours:
        other = by_uid[each[key]["Value"][0]]
        for tag in each.keys() & other.keys() - {"00081190", "00080005"} - unlike:
            assert each[tag] == other[tag], tag


async def test_orthanc_has_the_same_metadata(client: httpx.AsyncClient, orthanc: Orthanc) -> None:
    path = f"/studies/{STUDY}/series/{SERIES}/instances/{SENT[0].SOPInstanceUID}/metadata"
    [ours] = (await client.get(f"/dicomweb{path}")).json()
    [theirs] = (await orthanc.client.get(f"/dicom-web{path}")).json()
    for tag in ours.keys() & theirs.keys() - {"7FE00010", "00080005"}:
        assert ours[tag] == theirs[tag], tag
    assert theirs.keys() - ours.keys() <= {"00080005", "00081190"}
