"""Searches for studies, series and instances: what is told of each, however its file has fared."""

import asyncio
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

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
        archive.originals,
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
    image = radiograph(StudyInstanceUID=STUDY, PatientID="P0", PatientName="Doe^Ann")
    for instance, of_series in (("1.1", SERIES), ("1.2", SERIES), ("1.3", "1.2.3.2")):
        await archive.add(file_of(image), instance, series=of_series, patient_id="P1")
    [study] = data_sets(await studies(search))
    assert str(study.PatientName) == "Doe^Ann"
    assert study.PatientID == "P1"  # as it was corrected
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
