"""Instances that were stored and those that are rendered, found and read alike."""

import io
from collections.abc import Iterator

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.dicomweb.instances import Instance
from gateway.errors import InstanceNotFoundError, StudyNotFoundError, UnreadableDocumentError
from gateway.renderings.result_objects import ResultObject
from gateway.results.tombstone import Reason
from gateway.results.tombstones import Tombstones
from tests.support.archive import STUDY, Archive
from tests.support.deletion import deletion_on
from tests.support.dicom import file_of, radiograph
from tests.support.readings import activation

EXPLAINED = {"activation_map": activation(3, 10)}


@pytest.fixture
def archive() -> Iterator[Archive]:
    archive = Archive()
    yield archive
    archive.imaging.close()


async def add(archive: Archive, **attributes: object) -> Dataset:
    """An instance that a model has explained."""
    image = radiograph(StudyInstanceUID=STUDY, **{"PatientID": "P-7"} | attributes)
    uids = {"instance": image.SOPInstanceUID, "series": image.SeriesInstanceUID}
    await archive.add(file_of(image), **uids, of_frame=EXPLAINED, patient_id=image.PatientID)
    return image


async def results(archive: Archive) -> list[ResultObject]:
    found = await archive.instances.find(STUDY)
    return [each for each in found if isinstance(each, ResultObject)]


def uids(found: list[Instance] | list[ResultObject]) -> list[str]:
    return [each.sop_instance_uid for each in found]


async def test_instances_are_found_by_study_series_and_instance(archive: Archive):
    images = [await add(archive, SeriesInstanceUID=series) for series in ("1.1", "1.1", "1.2")]
    await archive.complete()
    found = await archive.instances.find(STUDY)
    assert uids(found)[:3] == [image.SOPInstanceUID for image in images]
    assert len(found) == 3 + 1 + 3
    assert len(await archive.instances.find(STUDY, "1.1")) == 2
    assert len(await archive.instances.find(STUDY, found[4].series_instance_uid)) == 3
    for each in (found[0], found[3], found[4]):
        place = (each.study_instance_uid, each.series_instance_uid, each.sop_instance_uid)
        assert uids(await archive.instances.find(*place)) == [each.sop_instance_uid]
    with pytest.raises(InstanceNotFoundError):
        await archive.instances.find(STUDY, "1.3")
    with pytest.raises(InstanceNotFoundError):
        await archive.instances.find(STUDY, "1.1", found[3].sop_instance_uid)
    with pytest.raises(StudyNotFoundError):
        await archive.instances.find("1.2.9")


async def test_what_is_listed_is_what_is_rendered_each_time_the_same(archive: Archive):
    for number in (1, 2):
        await add(archive, SeriesInstanceUID="1.1", InstanceNumber=number)
    await archive.complete()
    found = await results(archive)
    assert [each.attributes.Modality for each in found] == ["SR", "OT", "OT"]
    for each in found:
        data = await archive.instances.read(each)
        made = dcmread(io.BytesIO(data))
        for element in each.attributes:
            assert made[element.tag].value == element.value, element.keyword
        assert made.PatientID == "P-7"
        assert await archive.instances.read(each) == data


async def test_a_late_instance_brings_a_successor_once_the_study_is_complete_again(
    archive: Archive,
):
    await add(archive)
    await archive.complete()
    report, heat_map = await results(archive)
    await add(archive)
    assert await results(archive) == []
    await archive.complete()
    successor, first, _ = await results(archive)
    assert successor.sop_instance_uid != report.sop_instance_uid
    assert first.sop_instance_uid == heat_map.sop_instance_uid
    with pytest.raises(InstanceNotFoundError):  # found before, and read by now
        await archive.instances.read(report)
    await archive.instances.read(successor)


async def test_after_a_correction_what_was_told_of_the_wrong_patient_is_gone(archive: Archive):
    image = await add(archive)
    await archive.complete()
    wrong = await results(archive)
    await archive.gateway.documents.change_known(
        STUDY,
        lambda record: record.changed(
            identity={"patient_id": "P-8"}, former=(*record.former, record.identity)
        ),
    )
    right = await results(archive)
    assert set(uids(right)).isdisjoint(uids(wrong))
    for each in wrong:
        with pytest.raises(InstanceNotFoundError):
            await archive.instances.read(each)
    for each in right:
        made = dcmread(io.BytesIO(await archive.instances.read(each)))
        assert made.PatientID == "P-8"
    original = (await archive.instances.find(STUDY))[0]
    assert await archive.instances.read(original) == file_of(image)


async def test_a_deleted_study_has_none_and_one_that_came_again_has_others(archive: Archive):
    await add(archive)
    await archive.complete()
    before = await results(archive)
    await deletion_on(archive.objects).delete(STUDY, reason=Reason.REQUEST)
    with pytest.raises(StudyNotFoundError):
        await archive.instances.find(STUDY)
    for each in before:
        with pytest.raises(StudyNotFoundError):
            await archive.instances.read(each)
    assert await Tombstones(archive.objects).requests(STUDY) == 1


async def test_an_instance_under_two_ids_is_one(archive: Archive):
    image = radiograph(StudyInstanceUID=STUDY)
    for study_id in ("S-1", "S-2"):
        await archive.add(b"", image.SOPInstanceUID, study_id=study_id)
    [found] = await archive.instances.find(STUDY)
    assert found.sop_instance_uid == image.SOPInstanceUID


async def test_the_room_of_what_is_rendered_is_reserved(archive: Archive):
    await add(archive)
    await archive.complete()
    reserved: list[int] = []

    async def reserve(size: int) -> None:
        reserved.append(size)

    [report, _] = await results(archive)
    assert reserved == []
    data = await archive.instances.read(report, reserve)
    assert reserved == [len(data)]


async def test_a_result_that_cannot_be_read_is_damaged_and_named_by_no_uid(archive: Archive):
    await add(archive)
    await archive.complete()
    [report, _] = await results(archive)
    error = archive.instances.damaged(report)
    assert isinstance(error, UnreadableDocumentError)
    assert STUDY not in error.place
