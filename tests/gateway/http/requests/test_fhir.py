import pytest
from starlette.datastructures import Headers

from gateway.errors import NotAcceptableError
from gateway.http.requests.fhir import fhir_release
from gateway.renderings.fhir import Release


@pytest.mark.parametrize(
    ("accept", "release"),
    [
        ("*/*", None),
        ("application/json", None),
        ("application/fhir+json", Release.R4),
        ("Application/FHIR+json; fhirVersion=4.0", Release.R4),
        ("text/html, application/fhir+json;fhirVersion=5.0;q=0.9", Release.R5),
    ],
)
def test_release(accept: str, release: Release | None):
    assert fhir_release(Headers({"accept": accept})) is release


def test_a_request_without_the_header_asks_for_none():
    assert fhir_release(Headers({})) is None


def test_another_release_is_not_acceptable():
    with pytest.raises(NotAcceptableError, match=r"4\.0"):
        fhir_release(Headers({"accept": "application/fhir+json; fhirVersion=3.0"}))
