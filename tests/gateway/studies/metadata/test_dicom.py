"""A data set's attributes in the words of the metadata document."""

import dataclasses
import datetime as dt
from typing import Any

import pytest
from pydicom.dataset import Dataset

from gateway.schemas.metadata import View
from gateway.studies.metadata.dicom import Described, describe
from gateway.studies.metadata.statements import Statement
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
    found = described(dataset)
    assert (found.document, found.notices) == (
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


def stated(dataset: Dataset, field: str) -> Statement:
    return described(dataset).statements[field]


def coded(value: str, scheme: str = "SRT") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    return item


def test_an_absent_attribute_leaves_its_field_out() -> None:
    dataset = radiograph()
    del dataset.ViewPosition
    dataset.PatientID = ""
    found = described(dataset)
    assert not {"view", "patient_id"} & found.document.keys()
    assert found.statements["view"].assumed == ()


# --- the view, by three attributes ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "view", "left_open"),
    [
        ({"ViewPosition": "AP SUPINE"}, "AP", "AP"),
        ({"ViewPosition": None, "ViewCodeSequence": [coded("R-10206")]}, "AP", "AP"),
        ({"ViewPosition": "LLD", "ViewCodeSequence": [coded("R-10206")]}, "AP", "AP"),
        ({"ViewPosition": "XYZ", "ViewCodeSequence": [coded("R-10214")]}, "PA", "PA"),
        ({"ViewPosition": "PA", "ViewCodeSequence": [coded("R-10202")]}, "PA", "PA"),
        ({"ViewPosition": "PA", "PatientOrientation": ["L", "F"]}, "PA", "PA"),
        ({"ViewPosition": "LL", "PatientOrientation": ["A", "F"]}, "LATERAL", "LATERAL"),
        ({"ViewPosition": "MLO", "PatientOrientation": ["A", "FR"]}, "OBLIQUE", "OBLIQUE"),
        # Many devices write L and F into every picture.
        ({"ViewPosition": "LL", "PatientOrientation": ["L", "F"]}, "LATERAL", "LATERAL"),
        ({"ViewPosition": "CC", "PatientOrientation": ["A", "R"]}, "OTHER", "OTHER"),
        ({"ViewPosition": "AP/PA", "ViewCodeSequence": [coded("R-10206")]}, "AP", "AP"),
        # Patient Orientation never decides between AP and PA.
        ({"ViewPosition": None, "PatientOrientation": ["L", "F"]}, None, "AP OBLIQUE OTHER PA"),
        (
            {"ViewPosition": None, "PatientOrientation": ["P", "F"]},
            "LATERAL",
            "LATERAL OBLIQUE OTHER",
        ),
        ({"ViewPosition": "XYZ"}, None, "AP LATERAL OBLIQUE OTHER PA"),
        ({"ViewPosition": "LLD"}, "OTHER", "AP LATERAL OBLIQUE OTHER PA"),
    ],
)
def test_the_view_is_what_all_attributes_leave_open(
    attributes: dict[str, Any], view: str | None, left_open: str
) -> None:
    statement = stated(radiograph(**attributes), "view")
    taken = [word.value for word in View if statement.fault("view", word.value) is None]
    assert (statement.value, " ".join(sorted(taken))) == (view, left_open)
    assert statement.missing is None


@pytest.mark.parametrize(
    ("attributes", "parties", "choices"),
    [
        (
            {"ViewPosition": "AP", "ViewCodeSequence": [coded("R-10214")]},
            "View Position (0018,5101) and View Code Sequence (0054,0220)",
            "AP or PA",
        ),
        (
            {
                "ViewPosition": "AP",
                "ViewCodeSequence": [coded("R-10214")],
                "PatientOrientation": ["L", "F"],
            },
            "View Position (0018,5101) and View Code Sequence (0054,0220)",
            "AP or PA",
        ),
        (
            {"ViewPosition": "AP", "PatientOrientation": ["A", "F"]},
            "View Position (0018,5101) and Patient Orientation (0020,0020)",
            "AP or LATERAL",
        ),
        (
            {
                "ViewPosition": None,
                "ViewCodeSequence": [coded("R-10206")],
                "PatientOrientation": ["P", "F"],
            },
            "View Code Sequence (0054,0220) and Patient Orientation (0020,0020)",
            "AP or LATERAL",
        ),
    ],
)
def test_attributes_that_disagree_name_the_view_together(
    attributes: dict[str, Any], parties: str, choices: str
) -> None:
    statement = stated(radiograph(**attributes), "view")
    assert statement.value is None
    assert statement.missing == f"is needed: {parties} of image[0] disagree; name {choices}"
    assert statement.settled == f"{parties} disagree: the metadata document's word is used"
    assert statement.choices == set(choices.split(" or "))


def test_a_lateral_view_in_a_frontal_orientation_is_told() -> None:
    dataset = radiograph(ViewPosition="LL", PatientOrientation=["L", "F"])
    [doubt] = stated(dataset, "view").assumed
    assert doubt.startswith("Patient Orientation (0020,0020) says a frontal picture, against ")


def test_a_view_that_is_not_understood_is_told() -> None:
    assert stated(radiograph(ViewPosition="XYZ"), "view").assumed == (
        "View Position (0018,5101) is not understood and left out",
    )
    dataset = radiograph(ViewPosition=None, ViewCodeSequence=[coded("X-1", "99ACME")])
    assert stated(dataset, "view").assumed == (
        "View Code Sequence (0054,0220) is not understood and left out",
    )


@pytest.mark.parametrize("directions", [["F", "L"], ["H", "A"], ["L", "H"], ["R", "F"]])
def test_a_picture_that_is_turned_is_told(directions: list[str]) -> None:
    dataset = radiograph(ViewPosition=None, PatientOrientation=directions)
    [notice] = described(dataset).notices
    assert notice.detail.startswith("Patient Orientation (0020,0020) says that ")


def test_a_patient_who_lay_on_the_side_is_told_whatever_the_document_says() -> None:
    [notice] = described(radiograph(ViewPosition="AP LLD")).notices
    assert "lay on the side" in notice.detail


# --- other words ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "body_part", "allowed"),
    [
        ({"BodyPartExamined": "Chest"}, "CHEST", {"CHEST"}),
        ({"BodyPartExamined": "THORAX"}, "CHEST", {"CHEST"}),
        (
            {"BodyPartExamined": None, "AnatomicRegionSequence": [coded("816094009", "SCT")]},
            "CHEST",
            {"CHEST"},
        ),
        (
            {"BodyPartExamined": "CHEST", "AnatomicRegionSequence": [coded("T-11300")]},
            "CHEST",
            {"CHEST", "RIB"},
        ),
        (
            {"BodyPartExamined": "XYZ", "AnatomicRegionSequence": [coded("T-D8700")]},
            "HAND",
            {"HAND"},
        ),
    ],
)
def test_body_part_by_word_and_by_code(
    attributes: dict[str, Any], body_part: str, allowed: set[str]
) -> None:
    statement = stated(radiograph(**attributes), "body_part")
    assert statement.value == body_part
    assert set().union(*statement.allowed.values()) == allowed


def test_a_part_beside_words_that_are_not_understood_is_not_left_out() -> None:
    statement = stated(radiograph(BodyPartExamined="KNEE MERCHANT"), "body_part")
    assert (statement.value, statement.assumed) == (
        "KNEE",
        ("Body Part Examined (0018,0015) is understood in part",),
    )


def test_of_several_parts_the_first_counts_and_a_document_may_name_another() -> None:
    statement = stated(radiograph(BodyPartExamined="HAND\\WRIST"), "body_part")
    assert (statement.value, statement.assumed) == (
        "HAND",
        ("Body Part Examined (0018,0015) is understood in part",),
    )
    assert statement.fault("body_part", "WRIST") is None
    assert statement.fault("body_part", "CHEST") is not None


def test_laterality_that_contradicts_that_of_the_image_is_told() -> None:
    statement = stated(radiograph(Laterality="L", ImageLaterality="R"), "laterality")
    assert (statement.value, statement.assumed) == (
        "R",
        ("Laterality (0020,0060) contradicts Image Laterality (0020,0062), which is used",),
    )


def test_word_and_code_of_different_parts_disagree() -> None:
    dataset = radiograph(BodyPartExamined="CHEST", AnatomicRegionSequence=[coded("T-D8700")])
    statement = stated(dataset, "body_part")
    assert statement.value is None
    assert statement.missing == (
        "is needed: Body Part Examined (0018,0015) and Anatomic Region Sequence (0008,2218) of "
        "image[0] disagree; name CHEST or HAND"
    )


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        ({"Modality": "cr"}, "modality", "CR"),
        ({"Modality": "DR"}, "modality", "DX"),
        ({"Modality": "RG"}, "modality", "DX"),
        ({"Laterality": "LEFT"}, "laterality", "L"),
        ({"ImageLaterality": "right"}, "laterality", "R"),
        ({"Laterality": "L", "ImageLaterality": "R"}, "laterality", "R"),
        ({"Laterality": "L", "ImageLaterality": "?"}, "laterality", "L"),
    ],
)
def test_words_become_the_defined_terms(attributes: dict[str, Any], field: str, value: str) -> None:
    assert stated(radiograph(**attributes), field).value == value


@pytest.mark.parametrize(
    ("attributes", "field", "attribute"),
    [
        ({"Modality": "FOO"}, "modality", "Modality (0008,0060)"),
        ({"BodyPartExamined": "XYZ"}, "body_part", "Body Part Examined (0018,0015)"),
        ({"Laterality": "MIDDLE"}, "laterality", "Laterality (0020,0060)"),
        ({"ImageLaterality": "MIDDLE"}, "laterality", "Image Laterality (0020,0062)"),
        ({"StudyDate": "20261399"}, "study_date", "Study Date (0008,0020)"),
        (
            {"BodyPartExamined": None, "AnatomicRegionSequence": [coded("X", "99ACME")]},
            "body_part",
            "Anatomic Region Sequence (0008,2218)",
        ),
    ],
)
def test_words_that_are_not_understood_are_left_out_and_told(
    attributes: dict[str, Any], field: str, attribute: str
) -> None:
    statement = stated(radiograph(**attributes), field)
    assert (statement.value, statement.allowed) == (None, {})
    assert statement.assumed == (f"{attribute} is not understood and left out",)


def test_an_identifier_that_cannot_be_decoded_is_needed_from_the_document() -> None:
    header = dataclasses.replace(
        read_metadata(file_of(radiograph())), unreadable=frozenset(("PatientID",))
    )
    statement = describe("image[0]", header, RECEIVED_AT).statements["patient_id"]
    assert statement.value is None
    assert statement.missing is not None
    assert statement.missing.startswith("Patient ID (0010,0020) of image[0] holds characters ")


# --- the time ------------------------------------------------------------------------------------


def test_what_is_assumed_of_the_time_is_told() -> None:
    statement = stated(
        radiograph(StudyDate="20260131", StudyTime="0815", TimezoneOffsetFromUTC="CET"), "timestamp"
    )
    assert statement.value == "2026-01-31T08:15:00+00:00"
    assert [notice.pointer for notice in statement.notices(is_sent=False)] == ["image[0]"]
    assert statement.notices(is_sent=True) == ()


# --- the picture ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (
            {"PresentationIntentType": "FOR PROCESSING"},
            "Presentation Intent Type (0008,0068) is FOR PROCESSING",
        ),
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"},
            "the SOP class Digital X-Ray Image Storage is FOR PROCESSING",
        ),
        ({"QualityControlImage": "YES"}, "Quality Control Image (0028,0300)"),
        ({"BurnedInAnnotation": "YES"}, "Burned In Annotation (0028,0301) is YES"),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, "Image Type (0008,0008) is DERIVED"),
    ],
)
def test_pictures_that_no_radiologist_would_read_as_they_are_are_told(
    attributes: dict[str, Any], words: str
) -> None:
    [notice] = described(radiograph(**attributes)).notices
    assert notice.pointer == "image[0]"
    assert notice.detail.startswith(words)


def test_an_ordinary_picture_is_told_nothing_of() -> None:
    ordinary = {
        "PresentationIntentType": "FOR PRESENTATION",
        "QualityControlImage": "NO",
        "BurnedInAnnotation": "NO",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "PatientOrientation": ["L", "F"],
    }
    assert described(radiograph(**ordinary)).notices == ()


def test_a_lost_preamble_is_told() -> None:
    header = read_metadata(file_of(radiograph())[132:])
    [notice] = describe("image[0]", header, RECEIVED_AT).notices
    assert "no DICOM preamble" in notice.detail
