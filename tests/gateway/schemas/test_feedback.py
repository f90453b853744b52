"""Judgements as they are sent."""

import pytest

from gateway.errors import InvalidFeedbackError
from gateway.schemas.feedback import Judgement, Source, parse_feedback


def test_a_judgement_needs_a_label_and_no_author():
    sent = parse_feedback(b'{"label": "pneumonia", "judgement": "agree"}')
    assert (sent.judgement, sent.author, sent.source) == (Judgement.AGREE, None, Source.READER)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b"[]", {""}),
        (b"{", {""}),
        (b'{"judgement": "maybe"}', {"/label", "/judgement"}),
        (b'{"label": "x", "judgement": "agree", "comment": "Mr. Smith"}', {"/comment"}),
        (b'{"label": "x", "judgement": "agree", "author": "a\\u0000b"}', {"/author"}),
        (b'{"label": "x", "judgement": "agree", "model": {"version": "1"}}', {"/model/name"}),
    ],
)
def test_every_fault_of_what_is_none_is_told(body: bytes, pointers: set[str]):
    with pytest.raises(InvalidFeedbackError) as caught:
        parse_feedback(body)
    assert {fault.pointer for fault in caught.value.faults} == pointers
