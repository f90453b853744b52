"""Optional words of headers and documents in DICOM's terms, where the meaning is plain."""

import pytest

from gateway.vocabulary.terms import (
    contract_word,
    identifier,
    laterality_named,
    modality_named,
)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("CR", "CR"),
        ("cr", "CR"),
        (" Dx ", "DX"),
        ("DR", "DX"),
        ("RG", "X-RAY"),
        ("RX", "X-RAY"),
        ("Digital Radiography", "DX"),
        ("COMPUTED_RADIOGRAPHY", "CR"),
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
        ("Rechts", "R"),
        ("GAUCHE", "L"),
        ("IZQUIERDA", "L"),
        ("DESTRA", "R"),
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
