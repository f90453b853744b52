import struct

import pytest
from pydicom import config
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from preprocess import Code, DicomMetadata, PreprocessError, read_metadata
from tests.preprocess import dicoms
from tests.preprocess.pngs import ramp


def test_attributes_of_a_radiograph(images):
    data = (images / "kermany_deflated.dcm").read_bytes()
    assert read_metadata(data) == DicomMetadata(
        transfer_syntax_uid="1.2.840.10008.1.2.1.99",
        study_instance_uid="2.25.231679597421149399142329057073179440",
        series_instance_uid="2.25.8370051041460595774773910874647827",
        sop_instance_uid="2.25.450188649422996713414948017426508427",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
        patient_id="RS-b4fac107",
        accession_number=None,
        study_date="20180106",
        study_time="120000",
        timezone_offset_from_utc=None,
        modality="CR",
        body_part_examined="CHEST",
        view_position="AP",
        laterality=None,
        image_laterality=None,
        presentation_intent_type=None,
        photometric_interpretation="MONOCHROME2",
        rows=736,
        columns=952,
        bits_stored=8,
        number_of_frames=1,
        has_pixel_data=True,
        image_type=("DERIVED", "SECONDARY"),
        burned_in_annotation="NO",
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4", 4),
        ("012 ", 12),
        ("0", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        ("9" * 13, None),
    ],
)
def test_number_of_study_related_instances(text: str, number: int | None):
    dataset = dicoms.image(ramp(2, 2))
    element = DataElement(
        "NumberOfStudyRelatedInstances", "IS", text, validation_mode=config.IGNORE
    )
    dataset.add(element)
    found = read_metadata(dicoms.write(dataset)).number_of_study_related_instances
    assert found == number


def test_report_has_metadata_and_no_pixels():
    with open(str(get_testdata_file("reportsi.dcm")), "rb") as stream:  # noqa: PTH123
        metadata = read_metadata(stream.read())
    assert metadata.modality == "SR"
    assert not metadata.has_pixel_data
    assert metadata.rows is None


def test_text_is_decoded_by_its_character_set():
    for charset, name in (
        ("ISO_IR 192", "Müller-7"),
        ("ISO_IR 100", "Müller-7"),
        ("ISO_IR 144", "Иванов-7"),
    ):
        dataset = dicoms.image(ramp(2, 2), SpecificCharacterSet=charset, PatientID=name)
        assert read_metadata(dicoms.write(dataset)).patient_id == name


def test_an_identifier_is_not_cut_at_a_byte_of_a_character():
    # The second byte of the one character is that of a backslash; only what follows it differs.
    ids = []
    for number in (b"1", b"2"):
        raw = b"\x1b$B!\\;3\x1b(B-" + number
        dataset = dicoms.image(ramp(2, 2), SpecificCharacterSet=["", "ISO 2022 IR 87"])
        ids.append(read_metadata(with_raw_text(dataset, "PatientID", raw)).patient_id)
    assert ids == ["\uff0b山-1", "\uff0b山-2"]


def test_an_identifier_with_a_backslash_is_kept_whole():
    data = with_raw_text(dicoms.image(ramp(2, 2)), "PatientID", b"A\\1 ")
    assert read_metadata(data).patient_id == "A\\1"


@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber"])
def test_an_identifier_that_cannot_be_decoded_is_named_and_not_guessed(keyword):
    dataset = dicoms.image(ramp(2, 2), SpecificCharacterSet="ISO_IR 192")
    metadata = read_metadata(with_raw_text(dataset, keyword, b"P\xff"))
    assert metadata.unreadable == {keyword}
    assert (metadata.patient_id, metadata.accession_number) == (None, None)


@pytest.mark.parametrize("keyword", ["PatientID", "AccessionNumber"])
@pytest.mark.parametrize("raw", [b"P\x001", b"P\t1", b"P\r\n1", b"P\x7f1", b"P\xc2\x851"])
def test_an_identifier_with_control_characters_is_named_and_not_guessed(keyword, raw):
    dataset = dicoms.image(ramp(2, 2), SpecificCharacterSet="ISO_IR 192")
    metadata = read_metadata(with_raw_text(dataset, keyword, raw + bytes(len(raw) % 2)))
    assert metadata.unreadable == {keyword}
    assert (metadata.patient_id, metadata.accession_number) == (None, None)


def test_padding_is_taken_off():
    dataset = dicoms.image(ramp(2, 2), ViewPosition="PA", AccessionNumber=" 17 ", StudyDate="")
    metadata = read_metadata(dicoms.write(dataset))
    assert (metadata.view_position, metadata.accession_number) == ("PA", "17")
    assert metadata.study_date is None


def test_codes_are_read_in_each_of_their_forms():
    dataset = dicoms.image(ramp(2, 2))
    dataset.ViewCodeSequence = [coded("SRT", CodeValue="R-10206 "), Dataset()]
    dataset.AnatomicRegionSequence = [
        coded("SCT", LongCodeValue="816094009"),
        coded(None, URNCodeValue="http://snomed.info/id/51185008"),
    ]
    metadata = read_metadata(dicoms.write(dataset))
    assert metadata.view_codes == (Code("SRT", "R-10206"),)
    assert metadata.anatomic_regions == (
        Code("SCT", "816094009"),
        Code(None, "http://snomed.info/id/51185008"),
    )


def test_a_word_or_sequence_that_cannot_be_read_costs_no_other():
    dataset = dicoms.image(ramp(2, 2), PatientID="P-1", PatientOrientation=["L", "F"])
    dataset.add_new("BodyPartExamined", "UT", "CHEST" * 1000)
    data = dicoms.write(dataset)
    at = data.index(b"\x18\0\x15\0UT")
    endless = struct.pack("<HH2sHI", 0x0008, 0x2218, b"SQ", 0, 2 << 20) + bytes(2 << 20)
    metadata = read_metadata(data[:at] + endless + data[at:])
    assert metadata.unreadable == {"BodyPartExamined", "AnatomicRegionSequence"}
    assert (metadata.patient_id, metadata.body_part_examined) == ("P-1", None)
    assert metadata.patient_orientation == ("L", "F")


def coded(scheme, **value):
    item = Dataset()
    if scheme is not None:
        item.CodingSchemeDesignator = scheme
    for keyword, text in value.items():
        setattr(item, keyword, text)
    return item


def with_raw_text(dataset, keyword, raw):
    """The data set's file with these bytes as the value of an LO or SH element, padded."""
    raw += b" " * (len(raw) % 2)
    tag, vr = tag_for_keyword(keyword), dictionary_VR(keyword)
    dataset.pop(keyword, None)
    data = dicoms.write(dataset)
    element = struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(raw)) + raw
    at = data.index(struct.pack("<HH", 0x0028, 0x0002))  # groups 0008 and 0010 stand before it
    return data[:at] + element + data[at:]


def test_other_formats_are_refused(radiograph):
    with pytest.raises(PreprocessError):
        read_metadata(radiograph)
