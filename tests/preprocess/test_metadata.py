import pytest
from pydicom.data import get_testdata_file

from preprocess import DicomMetadata, PreprocessError, read_metadata
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
    )


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


def test_padding_is_taken_off_and_the_first_value_taken():
    dataset = dicoms.image(ramp(2, 2), ViewPosition="PA", AccessionNumber=" 17 ", StudyDate="")
    metadata = read_metadata(dicoms.write(dataset))
    assert (metadata.view_position, metadata.accession_number) == ("PA", "17")
    assert metadata.study_date is None


def test_other_formats_are_refused(radiograph):
    with pytest.raises(PreprocessError):
        read_metadata(radiograph)
