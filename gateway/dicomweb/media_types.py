"""Media types of DICOMweb: what a request carries, and which answer it asks for.

Not Starlette for Accept: it does not read that field.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from python_multipart.multipart import parse_options_header

from gateway.errors import MalformedRequestError, NotAcceptableError, RequestMediaTypeError

if TYPE_CHECKING:
    from starlette.datastructures import Headers

DICOM = "application/dicom"
RELATED = "multipart/related"
_TAKEN = f'{RELATED}; type="{DICOM}", or one instance as {DICOM}'


class AnswerType(StrEnum):
    """Media types of an answer, the preferred one first."""

    JSON = "application/dicom+json"
    XML = "application/dicom+xml"
    PLAIN_JSON = "application/json"


def boundary_of(headers: Headers) -> bytes | None:
    """Return the boundary of a request's parts; None where its body is one instance.

    Raises
    ------
    RequestMediaTypeError
        The body is neither.
    MalformedRequestError
        There is no boundary.

    References
    ----------
    PS3.18, 8.7.3; RFC 2387, section 3.1: `type` holds a slash, and is met without quotes.
    """
    content_type = headers.get("content-type", "")
    media_type, options = parse_options_header(content_type)
    if media_type == DICOM.encode():
        return None
    if media_type != RELATED.encode() or options.get(b"type", b"").lower() not in {
        b"",
        DICOM.encode(),
    }:
        raise RequestMediaTypeError(content_type.partition(";")[0], _TAKEN)
    boundary = options.get(b"boundary")
    if not boundary:
        raise MalformedRequestError("The Content-Type of the request names no boundary.")
    return boundary


def answer_type(headers: Headers) -> AnswerType:
    """Return the media type of the answer that the request prefers.

    Raises
    ------
    NotAcceptableError
        It accepts none.

    References
    ----------
    RFC 9110, section 12.5.1; without the field, or where several are as welcome, DICOM JSON.
    """
    ranges = _ranges(headers)
    if not ranges:
        return AnswerType.JSON
    best = max(AnswerType, key=lambda offer: _weight(offer, ranges))
    if _weight(best, ranges) <= 0:
        raise NotAcceptableError(f"{AnswerType.JSON} or {AnswerType.XML}")
    return best


def _ranges(headers: Headers) -> dict[str, float]:
    """Return the media ranges that are accepted, with their weights."""
    ranges: dict[str, float] = {}
    for item in ",".join(headers.getlist("accept")).split(","):
        media_range, *parameters = (text.strip().lower() for text in item.split(";"))
        weights = [text.partition("=")[2] for text in parameters if text.startswith("q=")]
        if media_range:
            ranges[media_range] = quality_of(weights[0]) if weights else 1.0
    return ranges


def quality_of(text: str) -> float:
    """Return a weight of Accept (RFC 9110, section 12.4.2); 0 for what is no number."""
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _weight(offer: AnswerType, ranges: dict[str, float]) -> float:
    """Return the weight of the most specific range that an offer is in."""
    matching = (offer.value, "application/*", "*/*")
    return next((ranges[name] for name in matching if name in ranges), 0.0)
