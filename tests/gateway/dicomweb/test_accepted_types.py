"""Media ranges of retrievals, as clients write them."""

import pytest
from starlette.datastructures import Headers

from gateway.dicomweb.accepted_types import ANY, AcceptedType, accepted_types


def of(accept: str) -> list[AcceptedType]:
    return accepted_types(Headers({"accept": accept}))


@pytest.mark.parametrize(
    ("accept", "media_type", "is_related", "is_single", "transfer_syntax"),
    [
        ('multipart/related; type="application/dicom"', "application/dicom", True, False, None),
        ("multipart/related;type=application/dicom", "application/dicom", True, False, None),
        (
            'multipart/related; type="application/dicom"; transfer-syntax=*',
            *("application/dicom", True, False, "*"),
        ),
        ("multipart/related", ANY, True, False, None),
        ("application/dicom; transfer-syntax=1.2.3", "application/dicom", False, True, "1.2.3"),
        ("*/*", ANY, True, False, None),
        ("image/*", "image/*", False, True, None),
    ],
)
def test_a_range(
    accept: str, media_type: str, is_related: bool, is_single: bool, transfer_syntax: str | None
):
    assert of(accept) == [AcceptedType(media_type, is_related, is_single, transfer_syntax, 1.0)]


def test_the_preferred_come_first_and_those_of_no_weight_not_at_all():
    found = of("image/png;q=0.1, image/jpeg, image/gif;q=0, image/jls;q=none")
    assert [each.media_type for each in found] == ["image/jpeg", "image/png"]


def test_a_comma_in_quotes_ends_no_range():
    [found] = of('multipart/related; type="application/dicom,x"')
    assert found.media_type == "application/dicom,x"


@pytest.mark.parametrize("headers", [Headers({}), Headers({"accept": ""})])
def test_without_the_header_parts_of_any_kind_are_accepted(headers: Headers):
    [found] = accepted_types(headers)
    assert (found.media_type, found.is_related) == (ANY, True)


@pytest.mark.parametrize(
    ("accept", "taken"), [("image/*", True), ("*/*", True), ("image/png", False)]
)
def test_what_is_in_a_range(accept: str, taken: bool):
    assert of(accept)[0].takes("image/jpeg") is taken
