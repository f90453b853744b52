"""Items of the answers of archives on the web."""

import json

import pytest

from gateway.delivery.stow_answers import StoreAnswer, lists, store_answer
from tests.support.delivery_archives import failed, stored


def test_every_item_is_read_and_a_failure_counts_before_a_success():
    both = stored("1.2") | failed("1.2", 0xA700)
    assert store_answer(json.dumps(both).encode(), "1.2") == StoreAnswer(failure=0xA700)


def test_items_of_other_objects_do_not_count():
    other = stored("1.3") | failed("1.4", 0xA700)
    assert store_answer(json.dumps(other).encode(), "1.2") == StoreAnswer()


def test_a_failure_without_a_reason_is_a_failure():
    answer = {"00081198": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2"]}}]}}
    assert store_answer(json.dumps(answer).encode(), "1.2") == StoreAnswer(failure=0)


@pytest.mark.parametrize("body", [b"", b"<xml/>", b"[]", b"1", b"\xff", b"[" * 100_000])
def test_what_is_no_answer_says_nothing(body: bytes):
    assert store_answer(body, "1.2") is None


@pytest.mark.parametrize(
    "answer",
    [
        {"00081198": 1},
        {"00081198": {"Value": 1}},
        {"00081199": {"Value": [1, {"00081155": [], "00081196": {"Value": ["x"]}}]}},
    ],
)
def test_odd_items_break_nothing(answer: object):
    assert store_answer(json.dumps(answer).encode(), "1.2") == StoreAnswer()


def test_a_search_lists_the_object_or_does_not():
    found = json.dumps([{"00080018": {"vr": "UI", "Value": ["1.2"]}}]).encode()
    assert lists(found, "1.2") is True
    assert lists(found, "1.3") is False
    assert lists(b"", "1.2") is False
    assert lists(b"<html>", "1.2") is None
