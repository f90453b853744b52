"""Body parts by the words that headers use, and by code."""

import pytest

from gateway.vocabulary.body_parts import (
    body_part_coded,
    body_part_named,
    body_parts_among,
    differ,
)


@pytest.mark.parametrize(
    ("texts", "term"),
    [
        (("CHEST", "Chest", "CHEST-AP", "CHEST_PA", "chest lat", "CHESTPA", "CHEST 2 V"), "CHEST"),
        (("THORAX", "Thorax", "TÓRAX", "PORTABLE CHEST", "X-RAY CHEST", "XR CHEST"), "CHEST"),
        (("CXR", "THORAX AP LIEGEND", "HEMITHORAX"), "CHEST"),
        (("LUNGE", "Pulmón", "POUMONS", "Pulmão"), "LUNG"),
        (("RIBS LEFT", "RIBCAGE"), "RIB"),
        (("C SPINE", "C-SPINE", "CERVICAL SPINE", "CSPINE LAT"), "CSPINE"),
        (("L SPINE", "LSPINE AP", "Lumbar spine"), "LSPINE"),
        (("THORACIC SPINE", "T-SPINE"), "TSPINE"),
        (("HAND", "Left hand", "HANDS", "R HAND PA"), "HAND"),
        (("CHEST ABDOMEN", "CHEST\\ABDOMEN", "Chest/Abd"), "CHESTABDOMEN"),
        (("Knie", "GENOU"), "KNEE"),
    ],
)
def test_body_parts(texts: tuple[str, ...], term: str):
    assert {text: body_part_named(text) for text in texts} == dict.fromkeys(texts, term)


@pytest.mark.parametrize(
    "text", ["", "XYZ", "UNKNOWN", "???", "L", "AP", "HAND KNEE", "CHEST XYZ", "FACE CHEST"]
)
def test_other_words_are_no_body_part(text: str):
    assert body_part_named(text) is None


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("KNEE MERCHANT", ("KNEE",)),
        ("CHEST XYZ", ("CHEST",)),
        ("HAND KNEE", ("HAND", "KNEE")),
        ("FOOT\\ANKLE", ("FOOT", "ANKLE")),
        ("XYZ", ()),
    ],
)
def test_parts_among_other_words(text: str, terms: tuple[str, ...]):
    assert body_parts_among(text) == terms


@pytest.mark.parametrize(
    ("code", "term"),
    [
        ("816094009", "CHEST"),
        ("51185008", "CHEST"),
        ("T-D3000", "CHEST"),
        ("85562004", "HAND"),
        ("T-11501", "CSPINE"),
        ("1", None),
    ],
)
def test_body_parts_by_code(code: str, term: str | None):
    assert body_part_coded(code) == term


def test_parts_of_one_area_do_not_differ():
    assert not differ("CHEST", "LUNG")
    assert not differ("CHEST", "RIB")
    assert not differ("CHEST", "WHOLEBODY")
    assert differ("CHEST", "HAND")
    assert differ("CHEST", "ABDOMEN")
