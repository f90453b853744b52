"""Revisions of a study's report, by what its document lists."""

from collections.abc import Mapping

from gateway.renderings.identifiers import changes_before
from gateway.renderings.revisions import (
    Revision,
    newest,
    present,
    with_patient,
    withdrawals,
)
from gateway.renderings.source_header import source_header
from gateway.renderings.words import Withdrawal
from gateway.results.documents import DeliveryItem, Reading, StudyRecord
from gateway.schemas.report_class import ReportClass
from gateway.schemas.result import DeliveryState, RenderingKind
from tests.support.dicom import radiograph
from tests.support.readings import NOON, reading

STUDY = "1.2.3"
WRONG, RIGHT = {"patient_id": "P-7"}, {"patient_id": "P-8"}
SENT, WAITING = DeliveryState.SENT, DeliveryState.WAITING


def told(
    destination: str, *uids: str, state: DeliveryState = DeliveryState.ACKNOWLEDGED
) -> DeliveryItem:
    """What a destination got."""
    return DeliveryItem(
        id=f"{destination} {uids}",
        destination=destination,
        rendering=RenderingKind.STRUCTURED_REPORT,
        revision="1",
        state=state,
        at=NOON,
        objects=uids,
    )


def record(
    *deliveries: DeliveryItem,
    former: tuple[Mapping[str, str | None], ...] = (),
    identity: Mapping[str, str | None] = RIGHT,
) -> StudyRecord:
    return StudyRecord.begun("S1").changed(identity=identity, former=former, deliveries=deliveries)


def uid_of(*readings: Reading) -> str:
    return present(record(), STUDY, readings).sop_instance_uid


def withdrawn(of: StudyRecord, destination: str = "pacs") -> list[Revision]:
    return list(withdrawals(of, STUDY, destination, now=present(of, STUDY, [reading(2)])))


def predecessor(of: Revision) -> str | None:
    return None if of.predecessor is None else str(of.predecessor.SOPInstanceUID)


def test_a_report_that_nobody_got_has_no_predecessor():
    waiting = record(told("pacs", "1.1", state=WAITING))
    assert predecessor(present(waiting, STUDY, [reading()])) is None


def test_a_report_of_other_readings_is_another_object_and_replaces_the_last_one():
    first = uid_of(reading())
    now = present(record(told("pacs", first)), STUDY, [reading(), reading(2)])
    assert now.sop_instance_uid != first
    assert predecessor(now) == first
    assert now.predecessor is not None
    assert now.predecessor.StudyInstanceUID == STUDY


def test_a_report_is_the_same_once_it_was_sent_and_after_a_successor():
    own, later = uid_of(reading()), uid_of(reading(), reading(2))
    for deliveries in ((), (told("pacs", own),), (told("pacs", own), told("vna", later))):
        now = present(record(*deliveries), STUDY, [reading()])
        assert (now.sop_instance_uid, predecessor(now)) == (own, None)


def test_a_correction_makes_another_report_and_withdraws_what_was_told():
    first = uid_of(reading())
    corrected = record(told("pacs", first, state=SENT), former=(WRONG,))
    now = present(corrected, STUDY, [reading()])
    assert now.sop_instance_uid != first
    assert (now.identity, predecessor(now)) == (RIGHT, first)
    [gone] = withdrawn(corrected)
    assert (gone.identity, gone.withdrawal, predecessor(gone)) == (
        WRONG,
        Withdrawal.WRONG_PATIENT,
        first,
    )
    assert gone.sop_instance_uid not in {first, now.sop_instance_uid}


def test_a_destination_that_got_nothing_under_the_wrong_identity_is_told_of_no_withdrawal():
    corrected = record(told("pacs", "1.1"), former=(WRONG,))
    assert withdrawn(corrected, "vna") == []
    assert withdrawn(record(former=(WRONG,))) == []


def test_a_withdrawal_is_sent_once_and_is_no_predecessor():
    corrected = record(told("pacs", "1.1"), former=(WRONG,))
    [gone] = withdrawn(corrected)
    now = present(corrected, STUDY, [reading(2)])
    uids = (gone.sop_instance_uid, now.sop_instance_uid)
    unsure = record(told("pacs", "1.1"), told("pacs", *uids, state=SENT), former=(WRONG,))
    assert withdrawn(unsure)[0].sop_instance_uid == gone.sop_instance_uid
    assert predecessor(withdrawn(unsure)[0]) == "1.1"
    done = record(told("pacs", "1.1"), told("pacs", *uids), former=(WRONG,))
    assert withdrawn(done) == []
    assert predecessor(present(done, STUDY, [reading(2)])) == "1.1"
    assert predecessor(present(done, STUDY, [reading(3)])) == now.sop_instance_uid


def test_nothing_is_withdrawn_of_an_identity_under_which_nothing_was_told():
    twice = record(told("pacs", "1.1"), former=(WRONG, {"patient_id": "P-9"}))
    [gone] = withdrawn(twice)
    assert gone.identity == WRONG


def test_a_report_under_the_right_identity_is_not_withdrawn_with_an_earlier_one():
    first = told("pacs", "1.1").model_copy(update={"corrections": (1,)})
    corrected = record(first, former=(WRONG,))
    assert withdrawn(corrected) == []
    assert predecessor(present(corrected, STUDY, [reading(2)])) == "1.1"


def test_objects_after_a_correction_have_uids_of_their_own():
    assert changes_before() == ()
    assert len({changes_before(*each) for each in ((1, 0), (2, 0), (0, 1), (1, 1))}) == 4


def headers(*patients: tuple[str, str]) -> dict[str, object]:
    made = {}
    for number, (patient_id, name) in enumerate(patients):
        header = source_header(radiograph(PatientID=patient_id, PatientName=name, PatientSex="F"))
        assert header is not None
        made[str(number)] = header
    return made


def test_an_image_of_the_wrong_patient_takes_the_name_of_the_right_one():
    made = headers(("P-7", "Wrong"), ("P-8", "Right"))
    changed = with_patient(made, {"patient_id": "P-8", "accession_number": "A-9"})
    told_of = [
        (each.PatientID, each.PatientName, each.AccessionNumber) for each in changed.values()
    ]
    assert told_of == [("P-8", "Right", "A-9")] * 2
    assert made["0"].PatientName == "Wrong"


def test_a_patient_that_no_image_names_has_no_name():
    [header] = with_patient(headers(("P-7", "Wrong")), RIGHT).values()
    assert (header.PatientID, header.PatientName, header.PatientSex) == ("P-8", "", "")


def test_an_image_without_a_patient_takes_the_identifier_and_keeps_its_name():
    [header] = with_patient(headers(("", "Doe")), RIGHT).values()
    assert (header.PatientID, header.PatientName) == ("P-8", "Doe")
    [header] = with_patient(headers(("P-7", "Doe")), {}).values()
    assert (header.PatientID, header.PatientName) == ("P-7", "Doe")


def test_an_identity_that_no_header_may_have_is_not_taken():
    identity = {"patient_id": "P\t8", "accession_number": "A" * 17}
    [header] = with_patient(headers(("P-7", "Doe")), identity).values()
    assert (header.PatientID, header.AccessionNumber) == ("P-7", "")


def test_an_instance_that_came_again_counts_as_it_came_last():
    made = headers(("P-7", "Wrong"), ("P-8", "Right"))
    made["1"].SOPInstanceUID = made["0"].SOPInstanceUID
    readings = [reading(1, sha256="0"), reading(2, sha256="1"), reading(3, sha256="2")]
    assert newest(readings, made) == [readings[1]]


ENHANCED = ReportClass.ENHANCED.sop_class_uid


def in_class(item: DeliveryItem) -> DeliveryItem:
    """The item, whose reports are Enhanced SR."""
    return item.model_copy(update={"classes": dict.fromkeys(item.objects, ENHANCED)})


def test_each_class_has_reports_of_its_own_and_replaces_those():
    sent = record(told("pacs", "1.1"), in_class(told("vna", "1.2")), told("pacs", "1.3"))
    found = {each: present(sent, STUDY, [reading()], report_class=each) for each in ReportClass}
    assert len({revision.sop_instance_uid for revision in found.values()}) == len(ReportClass)
    assert found[ReportClass.COMPREHENSIVE_3D] == present(sent, STUDY, [reading()])
    assert {each: predecessor(revision) for each, revision in found.items()} == {
        ReportClass.COMPREHENSIVE_3D: "1.3",
        ReportClass.COMPREHENSIVE: None,
        ReportClass.ENHANCED: "1.2",
    }
    reference = found[ReportClass.ENHANCED].predecessor
    assert reference is not None
    assert reference.SOPClassUID == ENHANCED


def test_a_withdrawal_is_of_the_class_that_the_destination_has():
    sent = record(told("pacs", "1.1"), in_class(told("vna", "1.2")), former=(WRONG,))
    enhanced = ReportClass.ENHANCED
    now = present(sent, STUDY, [reading(2)], report_class=enhanced)
    [found] = withdrawals(sent, STUDY, "vna", now=now)
    assert (found.report_class, predecessor(found)) == (enhanced, "1.2")
    [other] = withdrawn(sent)
    assert (other.report_class, predecessor(other)) == (ReportClass.COMPREHENSIVE_3D, "1.1")
    assert other.sop_instance_uid != found.sop_instance_uid


def test_what_it_got_in_another_class_before_is_withdrawn_by_one_that_it_takes_now():
    sent = record(told("vna", "1.1"), former=(WRONG,))
    now = present(sent, STUDY, [reading(2)], report_class=ReportClass.ENHANCED)
    [found] = withdrawals(sent, STUDY, "vna", now=now)
    assert (found.report_class, predecessor(found)) == (ReportClass.ENHANCED, "1.1")
    assert found.predecessor is not None
    assert found.predecessor.SOPClassUID == ReportClass.COMPREHENSIVE_3D.sop_class_uid
