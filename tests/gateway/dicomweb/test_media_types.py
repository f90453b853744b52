"""Media types of store transactions."""

import pytest
from starlette.datastructures import Headers

from gateway.dicomweb.media_types import AnswerType, answer_type, boundary_of
from gateway.errors import MalformedRequestError, NotAcceptableError, RequestMediaTypeError

JSON, XML, PLAIN = AnswerType.JSON, AnswerType.XML, AnswerType.PLAIN_JSON


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom"; boundary="b"',
        "multipart/related; type=application/dicom; boundary=b",
        "multipart/related;boundary=b;type=application/dicom",
        'Multipart/Related; Boundary=b; Type="Application/DICOM"; start="<x>"',
        "multipart/related; boundary=b",
    ],
)
def test_parts_however_their_type_is_written(content_type: str) -> None:
    assert boundary_of(Headers({"content-type": content_type})) == b"b"


@pytest.mark.parametrize(
    "content_type", ["application/dicom", "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"]
)
def test_one_instance(content_type: str) -> None:
    assert boundary_of(Headers({"content-type": content_type})) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart/form-data; boundary=b",
        'multipart/related; type="application/dicom+json"; boundary=b',
        "application/dicom+json",
        "image/jpeg",
    ],
)
def test_what_is_not_taken(content_type: str) -> None:
    with pytest.raises(RequestMediaTypeError):
        boundary_of(Headers({"content-type": content_type}))


def test_parts_without_a_boundary() -> None:
    with pytest.raises(MalformedRequestError):
        boundary_of(Headers({"content-type": 'multipart/related; type="application/dicom"'}))


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/dicom+json", JSON),
        ("application/dicom+xml", XML),
        ("application/json", PLAIN),
        ("application/dicom+xml, application/dicom+json", JSON),
        ("application/dicom+xml;q=0.9, application/dicom+json;q=0.1", XML),
        ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
        ("*/*, application/dicom+json;q=0, application/json;q=0", XML),
        ("Application/DICOM+XML ; q=1.000", XML),
    ],
)
def test_the_answer_that_is_preferred(accept: str, answer: AnswerType) -> None:
    assert answer_type(Headers({"accept": accept} if accept else {})) is answer


@pytest.mark.parametrize(
    "accept", ["text/html", "application/dicom", "application/dicom+json;q=0", "*/*;q=nonsense"]
)
def test_an_answer_that_there_is_not(accept: str) -> None:
    with pytest.raises(NotAcceptableError):
        answer_type(Headers({"accept": accept}))
