"""Reports and heat maps as a study's document lists them."""

from typing import Any

from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage

from gateway.renderings.result_objects import ResultObject, result_objects
from gateway.results.documents import Completion, PendingImages, Reading, StudyRecord
from tests.support.readings import NOON, frame, reading

STUDY = "1.2.3"
DONE = Completion(work="w", last_instance_at=NOON, completed_at=NOON)


def instance(number: int = 1, **changes: Any) -> Reading:
    uids = {"study_instance_uid": STUDY, "series_instance_uid": "1.2.3.1"}
    return reading(number, **{"sop_instance_uid": f"1.2.3.1.{number}"} | uids | changes)


def listed(*readings: Reading, deletions: int = 0, **changes: Any) -> list[ResultObject]:
    record = StudyRecord.begun("S1").changed(**{"completion": DONE} | changes)
    return result_objects(record, readings, deletions=deletions)


def uids(found: list[ResultObject]) -> list[str]:
    return [each.sop_instance_uid for each in found]


def test_a_study_has_a_report_and_a_heat_map_of_each_image_that_has_one():
    plain = instance(3, frames=(frame(activation_map=None),))
    report, *heat_maps = listed(instance(1), instance(2), plain)
    assert report.attributes.SOPClassUID == Comprehensive3DSRStorage
    assert [each.attributes.SOPClassUID for each in heat_maps] == [SecondaryCaptureImageStorage] * 2
    assert (report.frame_count, [each.frame_count for each in heat_maps]) == (0, [1, 1])
    assert {each.study_instance_uid for each in (report, *heat_maps)} == {STUDY}
    assert {each.study_id for each in (report, *heat_maps)} == {"S1"}
    assert len({report.series_instance_uid, *(each.series_instance_uid for each in heat_maps)}) == 2
    assert report.path == (
        f"/dicomweb/studies/{STUDY}/series/{report.series_instance_uid}"
        f"/instances/{report.sop_instance_uid}"
    )
    assert uids(listed(instance(1), instance(2), plain)) == uids([report, *heat_maps])


def test_a_study_that_is_not_complete_or_is_held_has_none():
    waits = DONE.model_copy(update={"completed_at": None})
    assert listed(instance(), completion=waits) == []
    assert listed(instance(), pending=(PendingImages(id="p", images=1),)) == []
    assert listed(instance(), completion=DONE.model_copy(update={"held": True})) == []
    assert len(listed(instance(), completion=None)) == 2  # its images are answered one by one


def test_pictures_of_no_patients_study_have_none():
    assert listed(reading(1, media_type="image/png")) == []
    assert listed(instance(sop_instance_uid=None)) == []


def test_of_an_instance_that_came_again_what_came_last_counts():
    first, last = instance(1), instance(2, sop_instance_uid="1.2.3.1.1")
    assert uids(listed(first, last)) == uids(listed(last))


def test_a_late_image_a_new_version_and_a_correction_have_another_report():
    report, heat_map = uids(listed(instance(1)))
    late = uids(listed(instance(1), instance(2)))
    second = instance(1, model={"name": "cxr", "version": "2"})
    updated = uids(listed(instance(1), second))
    corrected = uids(listed(instance(1), former=({"patient_id": "P-7"},)))
    again = uids(listed(instance(1), deletions=1))
    assert len({report, late[0], updated[0], corrected[0], again[0]}) == 5
    assert late[1] == updated[1] == heat_map  # it tells of the same reading
    assert len({heat_map, corrected[1], again[1]}) == 3
