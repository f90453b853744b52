"""Headers that searches tell, of files and of what is rendered."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.dicomweb.headers import STUDY_FIELDS, Headers
from gateway.renderings.result_objects import ResultObject
from gateway.results.keys import image_key
from tests.support.archive import STUDY, Archive
from tests.support.dicom import file_of, radiograph
from tests.support.readings import activation

IMAGE = radiograph(
    StudyInstanceUID=STUDY, PatientID="P-7", PatientName="Doe^Ann", StudyDate="20260131"
)


@pytest.fixture
async def archive() -> Any:
    archive = Archive()
    await archive.add(
        file_of(IMAGE),
        IMAGE.SOPInstanceUID,
        of_frame={"activation_map": activation(3, 10)},
        patient_id="P-7",
    )
    await archive.complete()
    yield archive
    archive.imaging.close()


@pytest.fixture
def headers(archive: Archive) -> Iterator[Headers]:
    yield Headers(archive.instances, archive.imaging, admission=archive.admission, share="viewer")
    assert archive.admission.bytes.used == 0


def keywords(header: Dataset) -> set[str]:
    return {element.keyword for element in header}


async def test_a_stored_instance_has_the_header_of_its_file(archive: Archive, headers: Headers):
    original, *_ = await archive.instances.find(STUDY)
    header = await headers.of(original, ("PatientName",), more=("Rows",))
    assert (header.PatientName, header.Rows) == ("Doe^Ann", 6)
    assert keywords(header) == {"PatientName", "Rows"}


async def test_a_result_has_the_patient_of_its_image_and_a_series_of_its_own(
    archive: Archive, headers: Headers
):
    _, report, heat_map = await archive.instances.find(STUDY)
    header = await headers.of(report, STUDY_FIELDS, more=None)
    assert isinstance(header, FileDataset)
    assert header.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (header.PatientID, header.PatientName) == ("P-7", "Doe^Ann")
    assert (header.StudyDate, header.Modality) == ("20260131", "SR")
    assert header.SOPInstanceUID == report.sop_instance_uid
    assert "Rows" not in header
    wanted = ("PatientName", "Modality", "SeriesNumber")
    header = await headers.of(heat_map, wanted)
    assert keywords(header) == set(wanted)
    assert (header.Modality, header.SeriesNumber) == ("OT", 991)


async def test_a_result_of_a_corrected_study_has_the_right_patient_and_no_others_name(
    archive: Archive, headers: Headers
):
    await archive.gateway.documents.change_known(
        STUDY,
        lambda record: record.changed(
            identity={"patient_id": "P-8", "accession_number": "A-1"}, former=(record.identity,)
        ),
    )
    _, report, _ = await archive.instances.find(STUDY)
    assert isinstance(report, ResultObject)
    attributes = copy.deepcopy(report.attributes)
    header = await headers.of(report, STUDY_FIELDS)
    assert (header.PatientID, header.AccessionNumber) == ("P-8", "A-1")
    assert not header.PatientName
    assert report.attributes == attributes


async def test_of_a_file_that_is_gone_the_uids_are_told(archive: Archive, headers: Headers):
    original, report, _ = await archive.instances.find(STUDY)
    assert isinstance(report, ResultObject)
    del archive.objects.objects[image_key(report.original.reading)]
    for each in (original, report):
        header = await headers.of(each, ("SOPInstanceUID", "PatientName"))
        assert not isinstance(header, FileDataset)
        assert keywords(header) == {"SOPInstanceUID"}
        assert header.SOPInstanceUID == each.sop_instance_uid


async def test_a_study_has_the_name_of_the_patient_that_it_is_of_now(
    archive: Archive, headers: Headers
):
    found = await archive.instances.find(STUDY)
    assert (await headers.of_study(found, "P-7")).PatientName == "Doe^Ann"
    assert (await headers.of_study(found, None)).PatientName == "Doe^Ann"
    other = await headers.of_study(found, "P-8")
    assert (other.PatientName, other.StudyDate) == ("", "20260131")
    image = radiograph(StudyInstanceUID=STUDY, PatientID="P-8", PatientName="Roe^Eve")
    await archive.add(file_of(image), image.SOPInstanceUID, patient_id="P-7")
    found = await archive.instances.find(STUDY)
    assert (await headers.of_study(found, "P-8")).PatientName == "Roe^Eve"
    assert (await headers.of_study(found, "P-7")).PatientName == "Doe^Ann"
