"""Parked work that a request of its study made needless."""

from gateway.results.documents import FailedImages, MissingReading, PendingImages, StudyRecord
from gateway.results.settled_work import SettledWork, Settling
from gateway.storage.layout import READINGS, SUBMISSIONS
from gateway.work.keys import WorkId
from tests.support.readings import NOON

FAILED = tuple(
    FailedImages(id=each, images=1, attempts=1, failed_at=NOON, problem="x") for each in "ab"
)
OWED = tuple(
    MissingReading(sha256="0", name=name, problem="x", since=NOON, work=work, failed=is_failed)
    for name, work, is_failed in (
        ("m", "c", True),
        ("n", "c", True),
        ("o", "d", True),
        ("p", "e", False),
        ("q", None, False),
    )
)
RECORD = StudyRecord.begun("S1").changed(failed=FAILED, missing_readings=OWED)


def settled(after: StudyRecord | None) -> tuple[SettledWork, ...]:
    change = Settling(lambda record: after or record or RECORD)
    change(RECORD)
    return change.settled


def test_work_is_settled_once_the_record_has_it_no_more():
    assert settled(None) == ()
    assert settled(RECORD.changed(failed=FAILED[1:], missing_readings=OWED[:2])) == (
        SettledWork(SUBMISSIONS, WorkId("S1", "a")),
        SettledWork(READINGS, WorkId("S1", "d")),
    )
    assert settled(RECORD.changed(missing_readings=OWED[1:])) == ()


def test_a_new_study_settles_nothing():
    change = Settling(lambda _: RECORD)
    assert change(None) is RECORD
    assert change.settled == ()


def test_work_that_an_operator_has_tried_again_meanwhile_is_not_settled():
    answers = iter([RECORD.changed(failed=(), missing_readings=OWED[:2]), None])
    change = Settling(lambda record: next(answers) or record or RECORD)
    change(RECORD)
    assert {each.work.id for each in change.settled} == {"a", "b", "d"}
    retried = (OWED[2].model_copy(update={"failed": False}),)
    waits = RECORD.changed(
        failed=(), missing_readings=retried, pending=(PendingImages(id="a", images=1),)
    )
    change(waits)  # another swap came first; now there is nothing to change
    assert {each.work.id for each in change.settled} == {"b"}
