import io

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from gateway.renderings.source_header import header_of, source_header
from tests.support.dicom import file_of, radiograph

# pydicom warns of what senders write; in the gateway that is an event without words.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def stored(**attributes: object) -> Dataset:
    """A header as it is read from a file, by its own rules."""
    return dcmread(io.BytesIO(file_of(radiograph(**attributes))), stop_before_pixels=True)


@pytest.mark.parametrize(
    ("keyword", "value", "taken"),
    [
        ("PatientBirthDate", "19600229", "19600229"),
        ("PatientBirthDate", "1960.02.29", ""),
        ("PatientBirthDate", "19601301", ""),
        ("PatientBirthDate", "20010229", ""),
        ("StudyDate", "20260230", ""),
        ("PatientSex", "F", "F"),
        ("PatientSex", "female", ""),
        ("StudyTime", "081500.25", "081500.25"),
        ("StudyTime", "8:15", ""),
        ("StudyTime", "235960", ""),
        ("AccessionNumber", "A-1", "A-1"),
        ("AccessionNumber", "A" * 17, ""),
        ("PatientID", "P\\Q", "P"),
        ("PatientID", "P\t7", ""),
        ("PatientName", "Doe\tJane", ""),
    ],
)
def test_an_unusable_value_is_left_empty(keyword: str, value: str, taken: str):
    header = source_header(stored(**{keyword: value}))
    assert header is not None
    assert header[keyword].value == taken


@pytest.mark.parametrize("vr", ["US", "FL", "SV", "SQ", "ZZ"])
def test_a_value_that_cannot_be_parsed_is_left_empty(vr: str):
    whole = file_of(radiograph(PatientSex="F"))
    plain = b"\x10\x00\x40\x00CS\x02\x00F "
    length = b"\x00\x00\x03\x00\x00\x00" if vr in {"SV", "SQ"} else b"\x03\x00"
    broken = whole.replace(plain, b"\x10\x00\x40\x00" + vr.encode() + length + b"abc")
    assert broken != whole
    header = header_of(broken)
    assert header is not None
    assert header.PatientSex == ""


def test_a_file_that_cannot_be_parsed_has_no_header():
    for data in (b"", b"\x10\x00\x40\x00", file_of(radiograph())[:400]):
        assert header_of(data) is None


def test_what_is_missing_is_empty():
    original = stored()
    for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyID"):
        if keyword in original:
            del original[keyword]
    header = source_header(original)
    assert header is not None
    assert {str(header[keyword].value) for keyword in ("PatientBirthDate", "StudyID")} == {""}


@pytest.mark.parametrize(
    ("charset", "encoded", "name"),
    [
        (
            ["", "ISO 2022 IR 87"],
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
        ("GB18030", "王^小东".encode("gb18030"), "王^小东"),
        ("ISO_IR 144", "Люк^A".encode("iso8859-5"), "Люк^A"),
    ],
)
def test_a_name_is_read_by_its_own_character_set(
    charset: str | list[str], encoded: bytes, name: str
):
    original = stored()
    original.SpecificCharacterSet = charset
    original.add_new("PatientName", "PN", encoded)
    original.decode()
    header = source_header(original)
    assert header is not None
    assert str(header.PatientName) == name


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (["L", "F"], ["L", "F"]),
        (["PR", "F"], ["PR", "F"]),
        (["X", "F"], None),
        ("L", None),
        (["L", "F", "A"], None),
        (["", ""], None),
    ],
)
def test_an_orientation_is_taken_as_it_is_or_not_at_all(value: object, taken: list[str] | None):
    header = source_header(stored(PatientOrientation=value))
    assert header is not None
    assert header.get("PatientOrientation") == taken


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("value", ["", "no.uid"])
def test_an_image_of_no_patients_study_has_none(keyword: str, value: str):
    original = stored()
    original[keyword].value = value
    assert source_header(original) is None
