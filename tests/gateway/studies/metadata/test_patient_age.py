"""The patient's age as data sets state it."""

import pytest

from tests.gateway.studies.metadata.described import stated
from tests.support.dicom import radiograph


@pytest.mark.parametrize(
    ("attributes", "age"),
    [
        ({}, None),
        ({"PatientAge": "004Y"}, "004Y"),
        ({"PatientAge": "4Y"}, "004Y"),
        ({"PatientBirthDate": "20210701", "StudyDate": "20260701"}, "005Y"),
        ({"PatientBirthDate": "20210702", "StudyDate": "20260701"}, "004Y"),
        ({"PatientBirthDate": "20250131", "StudyDate": "20260701"}, "017M"),
        ({"PatientBirthDate": "20260701", "StudyDate": "20260701"}, "000M"),
        ({"PatientBirthDate": "18500101", "StudyDate": "20260701"}, "176Y"),
        ({"PatientBirthDate": "20270101", "StudyDate": "20260701"}, None),
        ({"PatientBirthDate": "20210701", "StudyDate": ""}, None),
        ({"PatientBirthDate": "", "StudyDate": "20260701"}, None),
        # Of the day of registration.
        (
            {"PatientAge": "006Y", "PatientBirthDate": "20210701", "StudyDate": "20260701"},
            "006Y",
        ),
    ],
)
def test_the_age_is_stated_or_follows_from_the_birth_date(
    attributes: dict[str, str], age: str | None
):
    statement = stated(radiograph(**attributes), "patient_age")
    assert (statement.value, statement.assumed) == (age, ())


def test_an_age_that_contradicts_the_birth_date_is_left_out_with_it():
    dataset = radiograph(PatientAge="034Y", PatientBirthDate="20210701", StudyDate="20260701")
    statement = stated(dataset, "patient_age")
    assert statement.value is None
    [notice] = statement.notices(is_sent=False)
    assert "contradicts Patient's Birth Date (0010,0030)" in notice.detail
    assert statement.fault("patient_age", "005Y") is None


def test_an_age_that_is_none_is_left_out_and_told():
    dataset = radiograph(PatientBirthDate="20210701", StudyDate="20260701")
    dataset.add_new("PatientAge", "LO", "CHILD")
    statement = stated(dataset, "patient_age")
    assert statement.value == "005Y"
    assert statement.assumed == ("Patient's Age (0010,1010) is not understood and left out",)


def test_a_document_may_not_contradict_it():
    statement = stated(radiograph(PatientAge="034Y"), "patient_age")
    assert statement.fault("patient_age", "034Y") is None
    fault = statement.fault("patient_age", "005Y")
    assert fault is not None
    assert "contradicts Patient's Age (0010,1010)" in fault.detail
