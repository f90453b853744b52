"""Images that failed for good, as later requests bring them again."""

import pytest

from gateway.results.documents import FailedImage, FailedImages, StudyRecord
from gateway.results.failed_images import failed_images, still_failed
from gateway.work.documents import SubmittedPart
from tests.support.readings import NOON, reading

A, B = "a" * 64, "b" * 64
# The first digits of the SHA-256 of "1.2.3".
INSTANCE = "c47f5b18b8a430e6"


def part(sha256: str | None = A, uid: str | None = None) -> SubmittedPart:
    return SubmittedPart(part="image", object="x.png", sha256=sha256, sop_instance_uid=uid)


def failed(work: str, *parts: SubmittedPart) -> FailedImages:
    sent = failed_images(parts)
    return FailedImages(
        id=work, images=len(parts), attempts=1, failed_at=NOON, problem="no-contrast", sent=sent
    )


def record(*items: FailedImages, read: tuple[str, ...] = ()) -> StudyRecord:
    readings = tuple(reading(number, sha256=each) for number, each in enumerate(read, 1))
    return StudyRecord.begun("S1").changed(failed=items, readings=readings)


def test_images_are_known_by_their_bytes_and_as_instances():
    assert failed_images([part(), part(B, "1.2.3"), part(None, "1.2.3")]) == (
        FailedImage(hash="a" * 16),
        FailedImage(hash="b" * 16, instance=INSTANCE),
        FailedImage(instance=INSTANCE),
    )


def test_a_file_that_nothing_tells_again_leaves_its_submission_unknown():
    assert failed_images([part(), part(None)]) == ()
    unknown = failed("one", part(), part(None))
    assert still_failed(record(unknown), [reading(sha256=A)]) == (unknown,)


@pytest.mark.parametrize(
    ("came", "left"),
    [
        ({"sha256": A}, ["two"]),
        ({"sha256": B, "sop_instance_uid": "1.2.3"}, ["one"]),
        ({"sha256": B, "sop_instance_uid": "1.2.4"}, ["one", "two"]),
        ({"sha256": B}, ["one", "two"]),
    ],
)
def test_a_submission_ends_with_the_same_bytes_or_the_same_instance(
    came: dict[str, str], left: list[str]
):
    before = record(failed("one", part()), failed("two", part("c" * 64, "1.2.3")))
    assert [item.id for item in still_failed(before, [reading(**came)])] == left


def test_a_submission_of_several_images_ends_with_the_last_of_them():
    both = failed("one", part(), part(B))
    assert still_failed(record(both), [reading(sha256=A)]) == (both,)
    assert still_failed(record(both, read=(A,)), [reading(sha256=B)]) == ()
    assert still_failed(record(both), [reading(sha256=A), reading(2, sha256=B)]) == ()


def test_instances_that_are_exported_again_one_by_one_end_their_submission():
    both = failed("one", part(A, "1.2.3"), part(B, "1.2.4"))
    first = reading(1, sop_instance_uid="1.2.3")
    assert still_failed(record(both), [first]) == (both,)
    half = record(both).changed(readings=(first,))
    assert still_failed(half, [reading(2, sop_instance_uid="1.2.4")]) == ()


def test_what_was_read_before_ends_nothing_alone():
    item = failed("one", part())
    assert still_failed(record(item, read=(A,)), [reading(2, sha256=B)]) == (item,)
