"""Views by the words, codes and orientations that headers have."""

import pytest

from gateway.studies.metadata.projection import (
    ANY,
    by_patient_orientation,
    by_view_codes,
    by_view_position,
    view_named,
)
from preprocess import Code


def letters(views: object) -> str:
    """The views in a set, sorted: AP, LATERAL, OBLIQUE, OTHER, PA."""
    return " ".join(sorted(views))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("terms", "view"),
    [
        (("PA", "pa", "P-A", "P.A.", "P A", "PA ERECT", "CHEST PA", "PA_GRID", "FRONTAL PA"), "PA"),
        (("TORAX PA", "RX TÓRAX PA"), "PA"),
        (("POSTEROANTERIOR", "POSTERO_ANTERIOR", "POSTERIOR-ANTERIOR", "Post. to Ant."), "PA"),
        (("AP", "A-P", "A.P.", "AP SUPINE", "AP PORTABLE", "AP UPRIGHT", "AP ERECT"), "AP"),
        (("ANTEROPOSTERIOR", "ANTERO POSTERIOR", "APSUPINE", "CHESTAP", "AP1", "AP AXIAL"), "AP"),
        (("AP LLD", "DECUB AP"), "AP"),
        (
            ("ANTEROPOSTERIEUR", "Antéro-postérieure", "ANTEROPOSTERIORE", "ANTERIOR POSTERIOR1"),
            "AP",
        ),
        (("VENTRODORSAL", "VENTRO-DORSALE", "V.D.", "AP IM LIEGEN"), "AP"),
        (("POSTEROANTERIEUR", "POSTERO ANTERIORE", "POSTERIEUR ANTERIEUR"), "PA"),
        (("DORSOVENTRAL", "DORSO-VENTRAL", "DORSOVENTRALER STRAHLENGANG", "D-V"), "PA"),
        (("LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT", "L LAT", "LEFT LATERAL", "L-L"), "LATERAL"),
        (("LATERO-LATERAL", "X-TABLE LAT", "ML", "LM"), "LATERAL"),
        (("LATERO-MEDIAL", "MEDIO-LATERAL", "LATEROLATERALE", "PROFIL GAUCHE"), "LATERAL"),
        (("LAT IZQ", "PERFIL DERECHO", "PROFILO SIN", "SEITL."), "LATERAL"),
        (("RLO", "LLO", "RAO", "LAO", "RPO", "LPO", "OBLIQUE", "MLO", "AP OBLIQUE"), "OBLIQUE"),
        (("LATERAL OBLIQUE", "AP OBL", "MEDIO-LATERAL OBLIQUE"), "OBLIQUE"),
        (("CC", "XCCL", "AXIAL", "TANGENTIAL", "SKYLINE"), "OTHER"),
        (("LLD", "RLD", "LEFT LATERAL DECUBITUS", "LAT DECUB"), "OTHER"),
    ],
)
def test_words_name_a_view(terms: tuple[str, ...], view: str):
    assert {term: by_view_position(term).view for term in terms} == dict.fromkeys(terms, view)


@pytest.mark.parametrize(
    ("term", "left_open"),
    [
        ("AP/PA", "AP PA"),
        ("FRONTAL", "AP PA"),
        ("DE FACE", "AP PA"),
        ("PA\\LL", "LATERAL PA"),
        ("PA AND LATERAL", "LATERAL PA"),
    ],
)
def test_words_for_several_views_leave_those_open(term: str, left_open: str):
    found = by_view_position(term)
    assert (found.view, letters(found.open)) == (None, left_open)


@pytest.mark.parametrize("term", ["XYZ", "L", "ANT", "1", "PALMAR", "PAN", "---", "UNKNOWN"])
def test_words_that_name_no_view_leave_all_open_and_are_told(term: str):
    found = by_view_position(term)
    assert (found.named, found.open) == (frozenset(), ANY)
    assert found.doubts == ("is not understood and left out",)


def test_a_word_beside_the_view_that_is_not_understood_is_told():
    assert by_view_position("AP XYZ").doubts == ("is understood in part",)


@pytest.mark.parametrize("term", ["LLD", "AP RLD", "LATERAL DECUBITUS"])
def test_a_patient_who_lay_on_the_side_is_told(term: str):
    assert "lay on the side" in by_view_position(term).remarks[0]


@pytest.mark.parametrize(
    ("scheme", "value", "view"),
    [
        ("SCT", "399348003", "AP"),
        ("SRT", "R-10206", "AP"),
        ("SNM3", "R-10206", "AP"),
        ("SCT", "272479007", "PA"),
        ("SRT", "R-10214", "PA"),
        ("SRT", "R-10236", "LATERAL"),
        ("SCT", "399198007", "LATERAL"),
        ("SRT", "R-102CD", "LATERAL"),
        ("SRT", "R-10226", "OBLIQUE"),
        ("SCT", "399135007", "OBLIQUE"),
        ("SCT", "399162004", "OTHER"),
        (None, "http://snomed.info/id/399348003", "AP"),
    ],
)
def test_codes_name_a_view(scheme: str | None, value: str, view: str):
    assert by_view_codes([Code(scheme, value)]).view == view


def test_case_of_a_scheme_and_its_code_does_not_count():
    assert by_view_codes([Code("srt", "r-10206")]).view == "AP"


@pytest.mark.parametrize(
    "code", [Code("99ACME", "R-10206"), Code("SCT", "1234567"), Code(None, "399348003")]
)
def test_codes_of_others_name_none(code: Code):
    assert by_view_codes([code]).named == frozenset()


def test_frontal_by_code_leaves_ap_and_pa_open():
    assert letters(by_view_codes([Code("SRT", "R-10202")]).open) == "AP PA"


@pytest.mark.parametrize(
    ("directions", "left_open", "remark"),
    [
        (("L", "F"), "AP OBLIQUE OTHER PA", ""),
        (("LA", "FP"), "AP OBLIQUE OTHER PA", ""),
        (("R", "F"), "AP OBLIQUE OTHER PA", "left and right are exchanged"),
        (("L", "H"), "AP OBLIQUE OTHER PA", "upside down"),
        (("F", "L"), "AP OBLIQUE OTHER PA", "lies on its side"),
        (("H", "R"), "AP OBLIQUE OTHER PA", "lies on its side"),
        (("A", "F"), "LATERAL OBLIQUE OTHER", ""),
        (("p", "f"), "LATERAL OBLIQUE OTHER", ""),
        (("A", "H"), "LATERAL OBLIQUE OTHER", "upside down"),
        (("F", "P"), "LATERAL OBLIQUE OTHER", "lies on its side"),
        (("A", "R"), "AP LATERAL OBLIQUE OTHER PA", ""),
    ],
)
def test_orientation_tells_the_plane_and_how_the_picture_lies(
    directions: tuple[str, str], left_open: str, remark: str
):
    found = by_patient_orientation(directions)
    assert letters(found.open) == left_open
    assert bool(found.remarks) == bool(remark)
    assert remark in "".join(found.remarks)


@pytest.mark.parametrize("directions", [("L",), ("L", "R"), ("", "F"), ("X", "F"), ("L", "F", "")])
def test_orientations_that_name_no_plane_are_told(directions: tuple[str, ...]):
    found = by_patient_orientation(directions)
    assert (found.open, found.doubts) == (ANY, ("is not understood and left out",))


def test_a_document_needs_plain_words():
    assert view_named("AP SUPINE") == "AP"
    assert [view_named(text) for text in ("AP XYZ", "LLD", "AP/PA", "UP")] == [None] * 4
