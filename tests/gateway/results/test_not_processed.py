"""Entries of images that could not be processed: who replaces which, and who does not."""

import datetime as dt
from typing import Any

import pytest

from gateway.results.documents import StudyRecord
from gateway.results.not_processed import (
    noted,
    settled,
    still_left_out,
    with_entries,
    with_less,
    with_parked,
    without_parked,
)
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.problem import Problem
from tests.support.readings import NOON, reading

PROBLEM = Problem(type="urn:radstream:problem:x", title="Damaged", status=422, detail="Mend it.")


def entry(sha256: str = "bad", part: str = "image[1]", **fields: Any) -> NotProcessedDocument:
    given = {"part": part, "sha256": sha256, "problem": PROBLEM, "received_at": NOON} | fields
    return NotProcessedDocument(**given)


def later(minutes: int) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minutes)


def test_an_image_has_one_entry_and_keeps_its_time_while_nothing_else_is_new():
    first = entry()
    assert noted((first,), [entry(received_at=later(1))]) == (first,)
    other = entry(received_at=later(1), view="PA")
    assert noted((first,), [other]) == (other,)


def test_entries_stand_in_the_order_they_came_and_were_sent_in():
    tenth, second = entry("10", "image[10]"), entry("2", "image[2]")
    before = entry("0", received_at=later(-1))
    assert noted((), [tenth, second, before]) == (before, second, tenth)


@pytest.mark.parametrize(
    ("open_entry", "part", "processed", "is_settled"),
    [
        (entry("same"), "other", reading(1, sha256="same"), True),
        (entry(sop_instance_uid="1.2"), "other", reading(1, sop_instance_uid="1.2"), True),
        (entry(sop_instance_uid="1.2"), "other", reading(1, sop_instance_uid="1.3"), False),
        (
            entry(sop_instance_uid="1.2", beside=("there",)),
            "other",
            reading(1, sha256="there", sop_instance_uid="1.2"),
            False,
        ),
        (entry(), "image[1]", reading(1), False),
    ],
)
def test_what_a_request_with_several_images_settles(
    open_entry: NotProcessedDocument, part: str, processed: Any, is_settled: bool
):
    found = settled((open_entry,), {part: processed}, alone=False)
    assert (found == ()) is is_settled


def test_other_bytes_under_the_parts_name_beside_the_same_neighbour_settle_it():
    before = (entry(beside=("neighbour",)),)
    sent = {"image[0]": reading(1, sha256="neighbour"), "image[1]": reading(2, sha256="mended")}
    assert settled(before, sent, alone=False) == ()


def test_an_image_sent_alone_settles_the_only_entry_that_it_can_mean():
    sent = {"image[0]": reading(1, received_at=later(1), metadata={"view": "PA"})}
    lateral, frontal = entry("a", view="LATERAL"), entry("b", view="PA")
    assert settled((lateral, frontal), sent, alone=True) == (lateral,)
    both = (entry("a"), entry("b"))
    assert settled(both, sent, alone=True) == both


def test_entries_are_told_in_few_words_before_any_is_left_out():
    entries = tuple(entry(f"{number}" * 64, beside=("f" * 64,)) for number in range(5))
    record = StudyRecord.begun("S1").model_copy(update={"open_images": entries})
    short = with_less(record)
    assert [item.sha256 for item in short.open_images] == [item.sha256 for item in entries]
    assert {item.beside for item in short.open_images} == {("f" * 12,)}
    assert {item.problem.type for item in short.open_images} == {PROBLEM.type}
    left = []
    while short.open_images:
        short = with_less(short)
        left.append((len(short.open_images), short.open_images_left_out))
    assert left == [
        (2, ("00000000", "11111111", "22222222")),
        (1, ("00000000", "11111111", "22222222", "33333333")),
        (0, ("00000000", "11111111", "22222222", "33333333", "44444444")),
    ]


def test_an_image_in_few_words_that_comes_again_keeps_its_time_and_is_told_in_full():
    first = entry("a" * 64, beside=("f" * 64,))
    record = StudyRecord.begun("S1").model_copy(update={"open_images": (first,)})
    short = with_less(record).open_images
    again = entry("a" * 64, beside=("f" * 64,), received_at=later(1))
    assert noted(short, [again]) == (first,)


def left_out(*entries: NotProcessedDocument) -> tuple[str, ...]:
    """What a document has of entries that it has no room for."""
    record = StudyRecord.begun("S1").model_copy(update={"open_images": entries})
    while record.open_images:
        record = with_less(record)
    return record.open_images_left_out


def test_an_image_that_was_left_out_counts_until_it_or_its_instance_is_processed_or_listed():
    signs = left_out(entry("a" * 64), entry("b" * 64, sop_instance_uid="1.2"), entry("c" * 64))
    assert still_left_out(signs, []) == signs
    assert still_left_out(signs, [reading(1, sha256="a" * 64)]) == signs[1:]
    assert still_left_out(signs, [reading(1, sop_instance_uid="1.2")]) == (signs[0], signs[2])
    assert still_left_out(signs, [reading(1, sop_instance_uid="1.3")]) == signs
    assert still_left_out(signs, [], ["c" * 64]) == signs[:2]


def test_no_more_than_a_thousand_are_known_of_those_left_out():
    signs = left_out(*(entry(f"{number:08x}" * 8) for number in range(1500)))
    assert (len(signs), signs[-1]) == (1000, f"{1499:08x}")


def test_a_parked_image_that_was_left_out_goes_with_its_parked_item():
    record = StudyRecord.begun("S1").model_copy(
        update={"open_images_left_out": left_out(entry("a" * 64, parked="id"))}
    )
    assert with_entries(record, (), "b" * 64) is record
    assert with_entries(record, (), "a" * 64).open_images_left_out == ()


def test_a_parked_image_has_an_entry_unless_a_request_of_its_bytes_left_one():
    parked = entry(parked="id")
    assert with_parked((), parked) == (parked,)
    of_request = (entry(),)
    assert with_parked(of_request, parked) == of_request
    assert without_parked((parked,), "bad", "id") == ()
    assert without_parked((parked,), "bad", "other") == (parked,)
