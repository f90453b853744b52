"""What a file tells of the making of its image; nothing of it is needed to process the image."""

import pytest

from gateway.schemas.reading_event import Sex
from gateway.studies.acquisition import UNKNOWN, Acquisition
from preprocess import Limits, MediaType
from tests.support.dicom import file_of, radiograph
from tests.support.models import flat_png


def told(**attributes: object) -> Acquisition:
    return Acquisition.of_file(file_of(radiograph(**attributes)), MediaType.DICOM, Limits())


def test_a_dicom_file_tells_device_sex_and_exposure_index():
    acquisition = told(
        Manufacturer="ACME", DeviceSerialNumber="4711", PatientSex="F", ExposureIndex="312.5"
    )
    assert acquisition == Acquisition("ACME\n\n4711\n", Sex.FEMALE, 312.5)


def test_a_device_is_another_by_its_serial_number():
    assert told(DeviceSerialNumber="1").device != told(StationName="1").device


@pytest.mark.parametrize("index", ["", "-1", "1\\2", "1e9", "nan"])
def test_an_exposure_index_that_is_none_is_left_out(index: str):
    assert told(ExposureIndex=index).exposure_index is None


@pytest.mark.parametrize("sex", ["", "W", "ERIKA"])
def test_a_sex_that_is_no_defined_term_is_left_out(sex: str):
    assert told(PatientSex=sex).sex is None


def test_other_files_and_broken_ones_tell_nothing():
    assert Acquisition.of_file(flat_png(9), MediaType.PNG, Limits()) == UNKNOWN
    broken = file_of(radiograph(PatientSex="F"))[:200]
    assert Acquisition.of_file(broken, MediaType.DICOM, Limits()) == UNKNOWN
