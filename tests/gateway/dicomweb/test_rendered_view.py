"""Parameters of a rendered picture."""

import pytest
from starlette.datastructures import Headers

from gateway.dicomweb.accepted_types import accepted_types
from gateway.dicomweb.rendered_view import RenderedParameters, view_of
from gateway.errors import MalformedRequestError, NotAcceptableError
from gateway.pictures.rendering import RenderedView, ViewWindow


def view(accept: str = "image/jpeg", **parameters: str) -> RenderedView:
    accepted = accepted_types(Headers({"accept": accept}))
    return view_of(RenderedParameters(**parameters), accepted)


def test_a_jpeg_as_the_model_saw_it_unless_more_is_said():
    assert view() == RenderedView("image/jpeg", 90, None, None)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/png", "image/png"),
        ("image/*", "image/jpeg"),
        ("image/jpeg;q=0.1, image/png", "image/png"),
        ("application/dicom, image/png", "image/png"),
    ],
)
def test_media_type(accept: str, media_type: str):
    assert view(accept).media_type == media_type


def test_no_other_kind_is_made():
    with pytest.raises(NotAcceptableError):
        view("image/gif")


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("600,1600", ViewWindow(600, 1600, "LINEAR")),
        ("-600.5,1600,sigmoid", ViewWindow(-600.5, 1600, "SIGMOID")),
        ("600,1600,Linear-Exact", ViewWindow(600, 1600, "LINEAR_EXACT")),
    ],
)
def test_window(text: str, window: ViewWindow):
    assert view(window=text).window == window


@pytest.mark.parametrize(
    "parameters",
    [
        {"quality": "0"},
        {"quality": "101"},
        {"quality": "x"},
        {"viewport": "512"},
        {"viewport": "0,512"},
        {"viewport": "1,2,3,4"},
        {"window": "600"},
        {"window": "600,0.5"},
        {"window": "nan,1600"},
        {"window": "600,inf"},
        {"window": "600,1600,cubic"},
    ],
)
def test_what_has_no_meaning_is_malformed(parameters: dict[str, str]):
    with pytest.raises(MalformedRequestError):
        view(**parameters)
