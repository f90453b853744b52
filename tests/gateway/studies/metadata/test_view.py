"""The view of a data set, by the three attributes that tell of it."""

from typing import Any

import pytest

from gateway.schemas.metadata import View
from tests.gateway.studies.metadata.described import coded, stated
from tests.support.dicom import radiograph


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
