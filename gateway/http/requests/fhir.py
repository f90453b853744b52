"""The request of an answer as HL7 FHIR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_multipart.multipart import parse_options_header

from gateway.errors import NotAcceptableError
from gateway.renderings.fhir import Release

if TYPE_CHECKING:
    from starlette.datastructures import Headers

FHIR_JSON = "application/fhir+json"


def fhir_release(headers: Headers) -> Release | None:
    """Return the release of FHIR that the request accepts; None where it asks for none.

    Raises
    ------
    NotAcceptableError
        It asks for a release that is not written.

    References
    ----------
    hl7.org/fhir, RESTful API, 3.1.0.1.11: the parameter `fhirVersion`.
    """
    for item in ",".join(headers.getlist("accept")).split(","):
        media_type, options = parse_options_header(item.strip())
        if media_type == FHIR_JSON.encode():
            try:
                return Release(options.get(b"fhirversion", Release.R4.encode()).decode())
            except ValueError:
                offers = (f"{FHIR_JSON}; fhirVersion={release}" for release in Release)
                raise NotAcceptableError(" or ".join(offers)) from None
    return None
