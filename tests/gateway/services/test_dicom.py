"""A data set's attributes in the words of the metadata document."""

import datetime as dt

import pytest
from pydicom.dataset import Dataset

from gateway.services.dicom import Described, describe
from preprocess import read_metadata
from tests.support.dicom import file_of, radiograph

RECEIVED_AT = dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC)


def described(dataset: Dataset) -> Described:
    return describe("image[0]", read_metadata(file_of(dataset)), RECEIVED_AT)


def test_every_attribute_finds_its_field() -> None:
    dataset = radiograph(
        StudyInstanceUID="1.2.3.4",
        ViewPosition="PA",
        PatientID="P-1",
        AccessionNumber="A-1",
        StudyDate="20260131",
        StudyTime="081500.250000",
        TimezoneOffsetFromUTC="+0130",
        Modality="DX",
        BodyPartExamined="CHEST",
        Laterality="L",
    )
    assert described(dataset) == Described(
        {
            "study_id": "1.2.3.4",
            "view": "PA",
            "timestamp": "2026-01-31T08:15:00+01:30",
            "patient_id": "P-1",
            "accession_number": "A-1",
            "study_date": "2026-01-31",
            "modality": "DX",
            "body_part": "CHEST",
            "laterality": "L",
        },
        (),
    )


@pytest.mark.parametrize(
    ("term", "view"),
    [
        ("AP", "AP"),
        ("LL", "LATERAL"),
        ("RL", "LATERAL"),
        ("LLO", "OBLIQUE"),
        ("RAO", "OBLIQUE"),
        ("LLD", "OTHER"),
        ("pa", "PA"),
    ],
)
def test_view_positions_become_the_five_views(term: str, view: str) -> None:
    assert described(radiograph(ViewPosition=term)).document["view"] == view


def test_an_absent_attribute_leaves_its_field_out() -> None:
    dataset = radiograph()
    del dataset.ViewPosition
    dataset.PatientID = ""
    assert not {"view", "patient_id"} & described(dataset).document.keys()


def test_image_laterality_goes_before_laterality() -> None:
    dataset = radiograph(Laterality="L", ImageLaterality="R")
    assert described(dataset).document["laterality"] == "R"


@pytest.mark.parametrize(
    ("time", "expected"),
    [("", "00:00:00"), ("07", "07:00:00"), ("0715", "07:15:00"), ("235960", "23:59:59")],
)
def test_a_time_may_stop_early(time: str, expected: str) -> None:
    dataset = radiograph(StudyDate="20260131", StudyTime=time, TimezoneOffsetFromUTC="-0500")
    assert described(dataset).document["timestamp"] == f"2026-01-31T{expected}-05:00"


def test_without_a_zone_the_time_is_taken_as_utc_and_said_so() -> None:
    found = described(radiograph(StudyDate="20260131", StudyTime="0815"))
    assert found.document["timestamp"] == "2026-01-31T08:15:00+00:00"
    assert [notice.pointer for notice in found.assumed] == ["image[0]"]
    assert "UTC" in found.assumed[0].detail


@pytest.mark.parametrize("date", ["", "20261399", "yesterday"])
def test_without_a_readable_date_the_time_of_receipt_stands_in(date: str) -> None:
    found = described(radiograph(StudyDate=date))
    assert found.document["timestamp"] == RECEIVED_AT.isoformat()
    assert "study_date" not in found.document
    assert "Study Date" in found.assumed[0].detail


def test_raw_detector_data_are_told() -> None:
    found = described(radiograph(PresentationIntentType="FOR PROCESSING"))
    assert "FOR PRESENTATION" in found.notices[0].detail
    assert described(radiograph(PresentationIntentType="FOR PRESENTATION")).notices == ()
