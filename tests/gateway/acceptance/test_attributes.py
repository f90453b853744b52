"""Groups that studies belong to."""

import pytest

from gateway.acceptance.attributes import (
    age_band,
    grouped,
    stated_by_dicom,
    stated_by_sidecar,
)
from tests.support.dicom import file_of, radiograph


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("011M", "under 1 year"),
        ("001Y", "1 to 5 years"),
        ("5", "1 to 5 years"),
        ("006Y", "6 to 17 years"),
        ("39", "18 to 39 years"),
        ("064Y", "40 to 64 years"),
        ("099Y", "65 years and older"),
        ("", "unknown"),
        ("old", "unknown"),
    ],
)
def test_ages_fall_into_bands(age: str, band: str):
    assert age_band(age) == band


def test_a_data_set_and_a_sidecar_state_them():
    dataset = radiograph(PatientSex="F", PatientAge="034Y", ManufacturerModelName="DR 7")
    stated = stated_by_dicom(file_of(dataset))
    assert stated == {"sex": "F", "age": "034Y", "device": "DR 7"}
    assert grouped(stated) == {
        "sex": "F",
        "age": "18 to 39 years",
        "view": "unknown",
        "device": "DR 7",
        "sender": "unknown",
    }
    assert stated_by_dicom(b"no data set") == {}
    broken = b"\x10\x00\x40\x00US\x03\x00abc"  # Patient's Sex as a number of an odd length
    assert "sex" not in stated_by_dicom(file_of(radiograph()) + broken)
    sidecar = stated_by_sidecar({"patient_sex": "male", "view": "ap", "patient_id": "P"})
    assert sidecar == {"sex": "male", "view": "ap"}
    assert (grouped(sidecar)["sex"], grouped(sidecar)["view"]) == ("M", "AP")
