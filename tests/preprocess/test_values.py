"""Values of attributes by keyword, of whatever a file holds."""

import pytest

from preprocess import PreprocessError, read_values
from tests.support.dicom import file_of, radiograph


def test_each_kind_of_value_is_text():
    data = file_of(
        radiograph(
            Manufacturer="Acme ",
            ImageType=["DERIVED", "PRIMARY"],
            PatientAge="045Y",
            KVP="120.5",
            PatientName="Müller^Änne",
            SpecificCharacterSet="ISO_IR 192",
        )
    )
    wanted = ("Manufacturer", "ImageType", "PatientAge", "KVP", "PatientName", "Rows", "Columns")
    assert read_values(data, wanted) == {
        "Manufacturer": ("Acme",),
        "ImageType": ("DERIVED", "PRIMARY"),
        "PatientAge": ("045Y",),
        "KVP": ("120.5",),
        "PatientName": ("Müller^Änne",),
        "Rows": ("6",),
        "Columns": ("8",),
    }


def test_what_is_absent_empty_or_far_too_long_is_left_out():
    data = file_of(radiograph(Manufacturer="", SeriesDescription="x" * 5000))
    assert read_values(data, ("Manufacturer", "SeriesDescription", "StationName")) == {}


def test_what_is_no_dicom_file_is_refused():
    with pytest.raises(PreprocessError):
        read_values(b"\x89PNG", ("Modality",))
