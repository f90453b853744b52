"""Searches for studies, series and instances: what is told of each, however its file has fared."""

import asyncio
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from gateway.audit.trail import GATEWAY, Audit
from gateway.dicomweb.search import Found, InstanceSearch
from gateway.dicomweb.search_keys import INSTANCE_KEYS, SERIES_KEYS, STUDY_KEYS, search_keys
from gateway.errors import MalformedRequestError
from gateway.observability.metrics import Metrics
from gateway.results.keys import image_key
from gateway.results.tombstone import Reason
from tests.support.archive import SERIES, STUDY, Archive
from tests.support.audit import Trail
from tests.support.deletion import deletion_on
from tests.support.dicom import file_of, radiograph
from tests.support.readings import activation

LARGE = 200_000


@pytest.fixture
def archive() -> Iterator[Archive]:
    archive = Archive(room=2 * LARGE)
    yield archive
    assert archive.admission.bytes.used == 0
    archive.imaging.close()


@pytest.fixture
def search(archive: Archive) -> InstanceSearch:
    return InstanceSearch(
        archive.gateway.index.search,
        archive.instances,
        archive.imaging,
        admission=archive.admission,
        share="viewer",
        link=lambda path: f"https://pacs.test{path}",
    )


async def studies(search: InstanceSearch, **keys: str) -> Found:
    return await search.studies(search_keys(keys.items(), STUDY_KEYS))


async def series(search: InstanceSearch, *study: str, **keys: str) -> Found:
    return await search.series(search_keys(keys.items(), SERIES_KEYS), *study)


async def instances(search: InstanceSearch, *uids: str, **keys: str) -> Found:
    return await search.instances(search_keys(keys.items(), INSTANCE_KEYS), *uids)


def data_sets(found: Found) -> list[Dataset]:
    return [Dataset.from_json(item) for item in found.items]


def uids(found: Found, keyword: str = "SOPInstanceUID") -> list[str]:
    return [str(each[keyword].value) for each in data_sets(found)]


# --- studies -------------------------------------------------------------------------------------


async def test_a_study_is_told_by_its_file_its_index_and_its_number_of_instances(
    archive: Archive, search: InstanceSearch
):
    image = radiograph(StudyInstanceUID=STUDY, PatientName="Doe^Ann")
    for instance, of_series in (("1.1", SERIES), ("1.2", SERIES), ("1.3", "1.2.3.2")):
        await archive.add(file_of(image), instance, series=of_series, patient_id="P1")
    [study] = data_sets(await studies(search))
    assert str(study.PatientName) == "Doe^Ann"
    assert study.PatientID == "P1"  # as it was sent beside the file
    assert study.NumberOfStudyRelatedSeries == 2
    assert study.NumberOfStudyRelatedInstances == 3
    assert study.InstanceAvailability == "ONLINE"
    assert study.RetrieveURL == f"https://pacs.test/dicomweb/studies/{STUDY}"


async def test_studies_come_page_by_page(archive: Archive, search: InstanceSearch):
    for number in range(3):
        study = f"1.2.{number}"
        image = radiograph(StudyInstanceUID=study)
        await archive.add(file_of(image), f"{study}.1", study=study)
    first = await studies(search, limit="2")
    rest = await studies(search, limit="2", offset="2")
    assert (len(first.items), first.has_more) == (2, True)
    assert (len(rest.items), rest.has_more) == (1, False)
    pages = uids(first, "StudyInstanceUID") + uids(rest, "StudyInstanceUID")
    assert sorted(pages) == ["1.2.0", "1.2.1", "1.2.2"]


async def test_a_range_of_years_is_refused(search: InstanceSearch):
    for found in (studies, series, instances):
        with pytest.raises(MalformedRequestError, match="StudyDate"):
            await found(search, StudyDate="20200101-20260101")


async def test_a_study_that_is_being_deleted_is_not_found(archive: Archive, search: InstanceSearch):
    await archive.add(file_of(radiograph(StudyInstanceUID=STUDY)), "1.1")
    await deletion_on(archive.objects).delete(STUDY, Reason.REQUEST)
    for found in (studies(search), series(search, STUDY), instances(search, STUDY)):
        assert (await found).items == []


async def test_found_studies_are_on_record(archive: Archive, search: InstanceSearch):
    await archive.add(file_of(radiograph(StudyInstanceUID=STUDY)), "1.1", study_id="S-1")
    trail = Trail()
    audit = Audit(trail, Metrics(CollectorRegistry()), instance="here")
    async with audit.of_work("search", GATEWAY):
        assert len((await studies(search)).items) == 1
    assert trail.records[0]["studies"] == ["S-1"]


# --- series and instances ------------------------------------------------------------------------


async def test_series_of_a_study_are_counted_and_say_their_study_where_the_path_does_not(
    archive: Archive, search: InstanceSearch
):
    image = radiograph(StudyInstanceUID=STUDY, SeriesDescription="chest")
    for instance, of_series in (("1.1", SERIES), ("1.2", "1.2.3.2"), ("1.3", SERIES)):
        image.SeriesInstanceUID = of_series
        await archive.add(file_of(image), instance, series=of_series)
    first, second = data_sets(await series(search, STUDY))
    assert [each.NumberOfSeriesRelatedInstances for each in (first, second)] == [2, 1]
    assert first.RetrieveURL.endswith(f"/studies/{STUDY}/series/{SERIES}")
    assert first.SeriesDescription == "chest"
    assert "StudyInstanceUID" not in first
    every = await series(search, limit="1")
    assert (uids(every, "StudyInstanceUID"), every.has_more) == ([STUDY], True)


async def test_instances_match_by_their_uids_and_what_their_files_say(
    archive: Archive, search: InstanceSearch
):
    for instance, modality in (("1.1", "DX"), ("1.2", "CR"), ("1.3", "DX")):
        image = radiograph(StudyInstanceUID=STUDY, SOPInstanceUID=instance, Modality=modality)
        await archive.add(file_of(image), instance, series=f"{SERIES}.{modality}")
    assert uids(await instances(search, STUDY)) == ["1.1", "1.2", "1.3"]
    assert uids(await instances(search, STUDY, f"{SERIES}.DX")) == ["1.1", "1.3"]
    assert uids(await instances(search, STUDY, Modality="CR")) == ["1.2"]
    assert uids(await instances(search, STUDY, SOPInstanceUID="1.3")) == ["1.3"]
    page = await instances(search, STUDY, offset="1", limit="1")
    assert (uids(page), page.has_more) == (["1.2"], True)
    [one] = data_sets(page)
    assert one.RetrieveURL.endswith("/instances/1.2")
    assert one.AvailableTransferSyntaxUID == ExplicitVRLittleEndian


# --- files ---------------------------------------------------------------------------------------


async def test_of_a_long_file_the_beginning_is_enough_for_which_no_room_is_held(
    archive: Archive, search: InstanceSearch
):
    image = radiograph(SOPInstanceUID="1.1", Rows=400, Columns=500, PixelData=bytes(LARGE))
    await archive.add(file_of(image), "1.1")
    with archive.admission.slot("another") as slot:
        await slot.wait_for_bytes(2 * LARGE)
        async with asyncio.timeout(20):
            assert uids(await instances(search, STUDY)) == ["1.1"]


async def test_a_file_whose_attributes_stand_late_is_read_whole(
    archive: Archive, search: InstanceSearch
):
    image = radiograph(SOPInstanceUID="1.1", InstanceNumber="7")
    image.add_new(0x00090010, "LO", "RADSTREAM TEST")
    image.add_new(0x00091001, "OB", bytes(LARGE))
    await archive.add(file_of(image), "1.1")
    [found] = data_sets(await instances(search, STUDY))
    assert (found.InstanceNumber, found.InstanceAvailability) == (7, "ONLINE")


async def test_an_instance_whose_file_is_damaged_is_told_by_its_identifiers(
    archive: Archive, search: InstanceSearch
):
    await archive.add(file_of(radiograph(SOPInstanceUID="1.1")), "1.1")
    lost = await archive.add(file_of(radiograph(SOPInstanceUID="1.2")), "1.2")
    await archive.add(b"no DICOM", "1.3")
    del archive.objects.objects[image_key(lost.reading)]
    found = data_sets(await instances(search, STUDY))
    assert [each.SOPInstanceUID for each in found] == ["1.1", "1.2", "1.3"]
    assert [each.InstanceAvailability for each in found] == [
        *("ONLINE", "UNAVAILABLE", "UNAVAILABLE")
    ]
    assert uids(await instances(search, STUDY, Modality="DX")) == ["1.1"]  # of others who knows


# --- reports and heat maps -----------------------------------------------------------------------


async def add_explained(archive: Archive, study: str = STUDY, **frame: object) -> None:
    """A complete study of one image, whose file is cut off within its pixels."""
    image = radiograph(
        StudyInstanceUID=study, PatientID="P1", PatientName="Doe^Ann", SeriesInstanceUID="1.1"
    )
    await archive.add(
        file_of(image)[:-20],  # a search reads the header alone: nothing can be rendered of it
        f"{study}.1",
        study=study,
        series="1.1",
        of_frame={"activation_map": activation(3, 10)} | frame,
        modality="DX",
    )
    await archive.complete(study)


async def test_a_study_counts_its_report_and_heat_maps(archive: Archive, search: InstanceSearch):
    await add_explained(archive)
    [study] = data_sets(await studies(search))
    assert study.ModalitiesInStudy == ["DX", "SR", "OT"]
    assert study.NumberOfStudyRelatedSeries == 3
    assert study.NumberOfStudyRelatedInstances == 3
    assert study.PatientName == "Doe^Ann"


async def test_report_and_heat_maps_are_series_and_instances(
    archive: Archive, search: InstanceSearch
):
    await add_explained(archive)
    found = data_sets(await series(search, STUDY))
    assert [each.Modality for each in found] == ["DX", "SR", "OT"]
    assert [each.get("SeriesNumber") for each in found[1:]] == [990, 991]
    assert found[1].SeriesDescription == "AI results, not reviewed"
    assert [each.NumberOfSeriesRelatedInstances for each in found] == [1, 1, 1]
    of_report = str(found[1].SeriesInstanceUID)
    [report] = data_sets(await instances(search, STUDY, of_report))
    assert report.SOPClassUID == Comprehensive3DSRStorage
    assert report.InstanceAvailability == "ONLINE"
    assert report.AvailableTransferSyntaxUID == ExplicitVRLittleEndian
    assert report.RetrieveURL == (
        f"https://pacs.test/dicomweb/studies/{STUDY}/series/{of_report}"
        f"/instances/{report.SOPInstanceUID}"
    )
    assert "PatientName" not in report
    [everything] = data_sets(await instances(search, STUDY, of_report, includefield="all"))
    assert everything.PatientName == "Doe^Ann"


async def test_report_and_heat_maps_are_found_by_their_modality_class_and_uids(
    archive: Archive, search: InstanceSearch
):
    await add_explained(archive)
    await add_explained(archive, "1.2.4", activation_map=None)
    assert len((await studies(search, ModalitiesInStudy="SR")).items) == 2
    with_heat_map = await studies(search, ModalitiesInStudy="OT,CT")
    assert uids(with_heat_map, "StudyInstanceUID") == [STUDY]
    assert (await studies(search, ModalitiesInStudy="OT", offset="1")).items == []
    first = await studies(search, ModalitiesInStudy="SR", limit="1")
    assert (len(first.items), first.has_more) == (1, True)
    assert len((await series(search, Modality="SR")).items) == 2
    assert len((await series(search, Modality="SR", ModalitiesInStudy="OT")).items) == 1
    assert len((await series(search, Modality="DX", ModalitiesInStudy="OT")).items) == 1
    [capture] = uids(await instances(search, SOPClassUID=SecondaryCaptureImageStorage))
    assert uids(await instances(search, STUDY, SOPInstanceUID=capture)) == [capture]


async def test_a_study_that_is_not_complete_has_what_was_stored_alone(
    archive: Archive, search: InstanceSearch
):
    image = radiograph(StudyInstanceUID=STUDY)
    await archive.add(file_of(image), "1.1", modality="DX")
    assert (await studies(search, ModalitiesInStudy="SR")).items == []
    assert len((await series(search, STUDY)).items) == 1
