"""Objects that an archive has of a wrong patient, or of a deleted study, and is to hide."""

from typing import Any

from gateway.renderings.rejections import Rejection, capture_references, rejections
from gateway.renderings.revisions import present
from gateway.renderings.words import Withdrawal
from gateway.results.documents import DeliveryItem, StudyRecord
from gateway.schemas.report_class import ReportClass
from gateway.schemas.result import DeliveryState, RenderingKind
from tests.gateway.renderings.test_revisions import STUDY, WRONG, record
from tests.gateway.renderings.test_revisions import told as told_of_report
from tests.support.readings import NOON, reading

READING = reading(study_instance_uid=STUDY)
NOTE, SC = RenderingKind.REJECTION_NOTE, RenderingKind.SECONDARY_CAPTURE
OLD, NEW = capture_references([READING], corrections=1, deletions=0)
STATE = DeliveryState


def told(kind: RenderingKind, *uids: str, **changes: Any) -> DeliveryItem:
    fields = {"id": f"{kind}{uids}", "destination": "pacs", "rendering": kind, "revision": ""}
    fields |= {"state": STATE.ACKNOWLEDGED, "at": NOON, "objects": uids}
    return DeliveryItem(**fields | changes)


def rejected(of: StudyRecord, destination: str = "pacs") -> list[Rejection]:
    now = present(of, STUDY, [READING])
    return [*rejections(of, STUDY, (OLD, NEW), destination, now=now)]


def test_each_identity_has_captures_of_its_own():
    assert (OLD.corrections, NEW.corrections) == (0, 1)
    assert OLD.sop_instance_uid != NEW.sop_instance_uid
    again = [*capture_references([READING], corrections=1, deletions=1)]
    assert not {OLD.sop_instance_uid, NEW.sop_instance_uid} & {
        each.sop_instance_uid for each in again
    }


def test_an_image_in_no_patients_study_has_no_capture():
    assert [*capture_references([reading()], 0, 0)] == []


def test_what_was_sent_of_a_wrong_patient_is_rejected_and_what_is_right_stays():
    sent = told(SC, OLD.sop_instance_uid), told_of_report("pacs", "1.1")
    right = told(SC, NEW.sop_instance_uid)
    [found] = rejected(record(*sent, right, former=(WRONG,)))
    assert (found.identity, found.withdrawal) == (WRONG, Withdrawal.WRONG_PATIENT)
    assert (found.reports, found.captures) == (("1.1",), (OLD,))


def test_what_an_archive_took_before_it_refused_another_object_is_rejected_too():
    parked = told(SC, OLD.sop_instance_uid, state=STATE.PARKED)
    [found] = rejected(record(parked, former=(WRONG,)))
    assert found.captures == (OLD,)


def test_what_another_archive_has_is_not_rejected_here():
    assert rejected(record(told(SC, OLD.sop_instance_uid), former=(WRONG,)), "vna") == []


def test_a_note_is_sent_once_and_another_for_other_objects():
    sent = told(SC, OLD.sop_instance_uid)
    [found] = rejected(record(sent, former=(WRONG,)))
    note = told(NOTE, found.sop_instance_uid)
    assert rejected(record(sent, note, former=(WRONG,))) == []
    unsure = note.model_copy(update={"state": STATE.SENT})
    assert rejected(record(sent, unsure, former=(WRONG,))) == [found]
    [other] = rejected(record(sent, note, told_of_report("pacs", "1.1"), former=(WRONG,)))
    assert other.sop_instance_uid != found.sop_instance_uid


def test_of_a_deleted_study_the_last_identity_is_rejected_as_well():
    sent = told(SC, OLD.sop_instance_uid, NEW.sop_instance_uid)
    of = record(sent, former=(WRONG,))
    wrong, last = rejections(of, STUDY, (OLD, NEW), "pacs")
    assert [each.withdrawal for each in (wrong, last)] == [
        Withdrawal.WRONG_PATIENT,
        Withdrawal.DELETED,
    ]
    assert (wrong.captures, last.captures, last.identity) == ((OLD,), (NEW,), of.identity)


def test_a_report_is_named_with_the_class_that_it_was_sent_in():
    uid = ReportClass.ENHANCED.sop_class_uid
    sent = told_of_report("pacs", "1.1"), told_of_report("pacs", "1.2")
    enhanced = sent[1].model_copy(update={"classes": {"1.2": uid}})
    [found] = rejected(record(sent[0], enhanced, former=(WRONG,)))
    assert found.reports == ("1.1", "1.2")
    assert found.classes == {"1.1": ReportClass.COMPREHENSIVE_3D.sop_class_uid, "1.2": uid}
