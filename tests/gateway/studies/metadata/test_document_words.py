"""Optional words of a document become DICOM's terms, or are left out and told."""

from typing import Any

import pytest

from gateway.studies.metadata.document_words import worded


@pytest.mark.parametrize(
    ("name", "sent", "taken"),
    [
        ("modality", "dx", "DX"),
        ("body_part", "Chest", "CHEST"),
        ("laterality", "LEFT", "L"),
        ("patient_id", " P1 ", "P1"),
        ("view", "antéro-postérieur", "AP"),
        ("view", "other", "OTHER"),
        ("image_size", [1, 2], [1, 2]),  # no word: left to the schema
    ],
)
def test_a_plain_word_is_taken_in_silence(name: str, sent: Any, taken: Any):
    found = worded({name: sent})
    assert (found.document[name], found.notices) == (taken, ())


@pytest.mark.parametrize(
    ("name", "sent", "said"),
    [
        ("body_part", "somewhere", "is not understood and left out"),
        ("modality", 7, "is not understood and left out"),
        ("patient_id", "  ", "is empty and left out"),
    ],
)
def test_a_word_that_is_none_is_left_out_and_told_without_it(name: str, sent: Any, said: str):
    found = worded({name: sent})
    assert name not in found.document
    [notice] = found.notices
    assert (notice.pointer, notice.detail) == (f"/{name}", said)


def test_the_document_sent_is_not_changed():
    sent = {"body_part": "Chest", "unknown": None}
    worded(sent)
    assert sent == {"body_part": "Chest", "unknown": None}
