"""A data set's attributes in the words of the metadata document."""

import dataclasses
from typing import Any

import pytest

from gateway.studies.metadata.dicom import describe
from preprocess import read_metadata
from tests.gateway.studies.metadata.described import RECEIVED_AT, coded, described, stated
from tests.support.dicom import file_of, radiograph


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


def test_an_absent_attribute_leaves_its_field_out() -> None:
    dataset = radiograph()
    del dataset.ViewPosition
    dataset.PatientID = ""
    found = described(dataset)
    assert not {"view", "patient_id"} & found.document.keys()
    assert found.statements["view"].assumed == ()


# --- the view, by three attributes ---------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("attributes", "unfit"),
    [
        ({"QualityControlImage": "YES"}, "was made for no picture of a phantom or test object"),
        ({"QualityControlImage": "BOTH"}, "was made for no picture of a phantom or test object"),
        ({"PatientOrientation": ["R", "H"]}, "was made for no picture that is upside down"),
        ({"PatientOrientation": ["H", "L"]}, "was made for no picture that lies on its side"),
        ({"PatientOrientation": ["R", "F"]}, None),
        ({"PatientOrientation": ["L", "F"], "QualityControlImage": "NO"}, None),
    ],
)
def test_no_model_is_made_for_phantoms_and_pictures_that_do_not_stand(
    attributes: dict[str, Any], unfit: str | None
) -> None:
    assert described(radiograph(**attributes)).unfit == unfit


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
