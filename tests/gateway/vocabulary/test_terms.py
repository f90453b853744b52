"""Optional words of headers and documents in DICOM's terms, where the meaning is plain."""

import pytest

from gateway.vocabulary.body_parts import (
    body_part_coded,
    body_part_named,
    body_parts_among,
    differ,
)
from gateway.vocabulary.terms import (
    contract_word,
    identifier,
    laterality_named,
    modality_named,
)


@pytest.mark.parametrize(
    ("texts", "term"),
    [
        (("CHEST", "Chest", "CHEST-AP", "CHEST_PA", "chest lat", "CHESTPA", "CHEST 2 V"), "CHEST"),
        (("THORAX", "Thorax", "TÓRAX", "PORTABLE CHEST", "X-RAY CHEST", "XR CHEST"), "CHEST"),
        (("CXR",), "CHEST"),
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


@pytest.mark.parametrize("text", ["", "XYZ", "UNKNOWN", "???", "L", "AP", "HAND KNEE", "CHEST XYZ"])
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


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("CR", "CR"),
        ("cr", "CR"),
        (" Dx ", "DX"),
        ("DR", "DX"),
        ("RG", "X-RAY"),
        ("X-Ray", "X-RAY"),
        ("XR", "X-RAY"),
        ("mr", "MR"),
        ("FOO", None),
        ("CR\\DX", None),
        ("", None),
    ],
)
def test_modalities(text: str, term: str | None):
    assert modality_named(text) == term


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("L", "L"),
        ("LEFT", "L"),
        ("Right", "R"),
        ("rt", "R"),
        ("BILATERAL", "B"),
        ("UNPAIRED", "U"),
        ("MIDDLE", None),
        ("L\\R", None),
        ("", None),
    ],
)
def test_lateralities(text: str, letter: str | None):
    assert laterality_named(text) == letter


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" P1\0", "P1"),
        ("Mu\u0308ller", "M\u00fcller"),
        ("P 1", "P 1"),
        ("p1", "p1"),
        ("  ", None),
        ("", None),
    ],
)
def test_identifiers_without_padding(text: str, value: str | None):
    assert identifier(text) == value


def test_a_contract_speaks_the_same_words():
    assert contract_word("body part", "THORAX") == "CHEST"
    assert contract_word("modality", "RG") == "DX"
    with pytest.raises(ValueError, match="no body part of DICOM"):
        contract_word("body part", "FOO")
