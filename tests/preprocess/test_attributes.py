"""Values of attributes from the raw bytes: bounded, typed, and never a warning with a value."""

import io

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from preprocess.attributes import Attributes, tag_of, translate_parse_errors
from preprocess.errors import CorruptImageError, TruncatedImageError


def attributes(dataset: Dataset, *, little_endian: bool = True) -> Attributes:
    """The data set as a reader finds it in a file: explicit VR, nothing converted."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = little_endian, False
    write_dataset(stream, dataset)
    raw = io.BytesIO(stream.getvalue())
    read = read_dataset(raw, is_implicit_VR=False, is_little_endian=little_endian)
    return Attributes(read, little_endian=little_endian)


def of(**values: object) -> Attributes:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return attributes(dataset)


def test_text_loses_its_padding_and_keeps_its_values_apart():
    found = of(ImageType=["DERIVED", "PRIMARY"], Modality="CR ", SOPInstanceUID="1.2.3")
    assert found.texts("ImageType") == ("DERIVED", "PRIMARY")
    assert found.text("ImageType") == "DERIVED"
    assert found.text("Modality") == "CR"
    assert found.uid("SOPInstanceUID") == "1.2.3"


def test_absent_and_empty_elements_are_none():
    found = of(Modality="")
    assert "Modality" in found
    assert "PatientID" not in found
    for keyword in ("Modality", "PatientID"):
        assert found.text(keyword) is None
        assert found.texts(keyword) == ()
        assert found.identifier(keyword) is None
        assert found.words(keyword) == ()
        assert found.items(keyword) == []


def test_an_identifier_is_not_divided_at_a_backslash():
    dataset = Dataset()
    dataset.PatientID = "A\\B"
    assert attributes(dataset).identifier("PatientID") == "A\\B"


def test_decimal_strings_are_as_written():
    assert of(WindowCenter=["40.0", " 1e2"]).decimal_strings("WindowCenter") == ("40.0", "1e2")


@pytest.mark.parametrize("little_endian", [True, False])
def test_words_follow_the_byte_order_and_the_sign(little_endian: bool):
    dataset = Dataset()
    dataset.Rows = 0xFFFE
    found = attributes(dataset, little_endian=little_endian)
    assert found.words("Rows") == (0xFFFE,)
    assert found.words("Rows", signed=True) == (-2,)
    assert found.as_words(b"\x01\x02").tolist() == [0x0201 if little_endian else 0x0102]


def test_text_beyond_its_bound_is_refused_by_its_keyword():
    dataset = Dataset()
    dataset.add_new("Modality", "CS", "\\".join(["CR"] * 2000))
    with pytest.raises(CorruptImageError, match="Modality is too long"):
        attributes(dataset).text("Modality")


def test_what_is_laid_over_counts_and_the_rest_stays():
    below, above = of(Modality="CR", PatientID="P1"), of(Modality="DX")
    merged = below.overlaid([above])
    assert (merged.text("Modality"), merged.identifier("PatientID")) == ("DX", "P1")
    assert below.text("Modality") == "CR"


def test_items_are_attributes_in_the_same_byte_order():
    item = Dataset()
    item.Rows = 7
    dataset = Dataset()
    dataset.ViewCodeSequence = [item]
    [found] = attributes(dataset, little_endian=False).items("ViewCodeSequence")
    assert found.words("Rows") == (7,)
    assert attributes(dataset).items("Modality") == []


def test_faults_of_the_parser_are_typed_and_ours_stay():
    with pytest.raises(CorruptImageError, match="cannot be parsed"), translate_parse_errors():
        raise RecursionError
    with pytest.raises(TruncatedImageError), translate_parse_errors():
        raise TruncatedImageError


def test_keywords_are_the_standards():
    assert tag_of("Rows") == 0x00280010
    with pytest.raises(KeyError):
        tag_of("NoSuchKeyword")
    assert np.iinfo(np.uint16).max == of(Rows=0xFFFF).words("Rows")[0]
