"""Forms in which instances and frames are given away."""

import pytest
from starlette.datastructures import Headers

from gateway.dicomweb.accepted_types import AcceptedType, accepted_types
from gateway.dicomweb.instance_forms import choose_frames, choose_instance, frame_type
from gateway.errors import NotAcceptableError

NATIVE, BASELINE, J2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
RELATED = 'multipart/related; type="{}"'


def of(accept: str) -> list[AcceptedType]:
    return accepted_types(Headers({"accept": accept}))


@pytest.mark.parametrize(
    ("transfer_syntax", "media_type"),
    [
        (NATIVE, "application/octet-stream"),
        (BASELINE, "image/jpeg"),
        (J2K, "image/jp2"),
        ("1.2.840.10008.1.2.4.80", "image/jls"),
        ("1.2.840.10008.1.2.4.201", "image/jphc"),
        ("1.2.840.10008.1.2.5", "image/dicom-rle"),
    ],
)
def test_media_type_of_a_frame_as_it_is_stored(transfer_syntax: str, media_type: str):
    assert frame_type(transfer_syntax) == media_type


@pytest.mark.parametrize(
    ("syntax", "given"),
    [("", J2K), ("; transfer-syntax=*", J2K), (f"; transfer-syntax={NATIVE}", NATIVE)],
)
def test_an_instance_comes_as_it_is_stored_unless_another_syntax_is_named(syntax: str, given: str):
    accepted = of(RELATED.format("application/dicom") + syntax)
    assert choose_instance(accepted, J2K, single=False)[1] == given


def test_an_instance_comes_without_parts_where_one_is_asked_for():
    assert choose_instance(of("application/dicom"), J2K, single=True)[0].is_single
    with pytest.raises(NotAcceptableError):
        choose_instance(of("application/dicom"), J2K, single=False)


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (RELATED.format("image/jp2"), J2K),
        (RELATED.format("application/octet-stream"), NATIVE),
        (RELATED.format("application/octet-stream") + "; transfer-syntax=*", J2K),
        ("*/*", J2K),
    ],
)
def test_frames(accept: str, given: str):
    assert choose_frames(of(accept), J2K, single=False)[1] == given


def test_what_cannot_be_made_is_not_acceptable():
    with pytest.raises(NotAcceptableError):
        choose_frames(of(RELATED.format("image/jls")), J2K, single=False)
    other = of(RELATED.format("application/dicom") + f"; transfer-syntax={BASELINE}")
    with pytest.raises(NotAcceptableError):
        choose_instance(other, J2K, single=False)
