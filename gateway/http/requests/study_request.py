"""From an HTTP request to the document and the files of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.errors import (
    Fault,
    InvalidPartsError,
    OverloadedError,
    RadStreamError,
    RequestMediaTypeError,
)
from gateway.http.requests.body import read_body
from gateway.http.requests.multipart import split
from gateway.studies.process import Received
from preprocess import MediaType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

    from gateway.admission.admission import Slot
    from gateway.http.requests.multipart import Part
    from gateway.runtime.deadline import Deadline
    from gateway.settings import Settings

log = structlog.get_logger()

METADATA_HEADER = "RadStream-Metadata"


async def read_study_request(
    request: Request, settings: Settings, deadline: Deadline, slot: Slot
) -> Received:
    """Return the document and the files that a POST carries, as multipart/form-data or one image.

    Parameters
    ----------
    deadline
        Of the request.
    slot
        Holds the body's bytes.

    Raises
    ------
    OverloadedError
        There is no room for the body.
    RequestMediaTypeError, ContentCodingError, MalformedRequestError, BodyTooLargeError,
    TooManyPartsError
        The request cannot be taken apart.
    InvalidPartsError
        It can, but the parts are not as they should be.
    RequestTooSlowError, DeadlineExceededError, CallerGoneError
    """
    try:
        return Received(*await _parts(request, settings, slot, deadline))
    except OverloadedError:  # counted where it is raised: a line for each would be a flood itself
        raise
    except RadStreamError as error:  # not yet a study, whose end has a line of its own
        log.info("request.refused", error=error.label)
        raise


async def _parts(
    request: Request, settings: Settings, slot: Slot, deadline: Deadline
) -> tuple[bytes | memoryview | None, list[tuple[str, memoryview]]]:
    """Return the metadata document, if there is one, and the images with their parts' names."""
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "multipart/form-data" and media_type not in set(MediaType):
        raise RequestMediaTypeError(media_type)
    headers = _headers(request)
    body = await read_body(
        request, settings.limits.body_bytes, slot=slot, deadline=deadline, pace=settings.http
    )
    if media_type == "multipart/form-data":
        return _sort(split(body, content_type, limit=settings.limits.parts), headers)
    return (headers[0] if headers else None), [("body", memoryview(body))]


def _headers(request: Request) -> list[bytes]:
    """Return the metadata document of the header fields, once; none where there is no such field.

    Raises
    ------
    InvalidPartsError
        They differ: each may be about another patient.
    """
    fields = request.headers.getlist(METADATA_HEADER)
    distinct = list(dict.fromkeys(field.encode("latin-1") for field in fields))
    if len(distinct) > 1:
        detail = f"is taken once; there are {len(fields)} that differ"
        raise InvalidPartsError((Fault(METADATA_HEADER, detail),))
    return distinct


def _sort(
    parts: Sequence[Part], headers: Sequence[bytes]
) -> tuple[bytes | memoryview | None, list[tuple[str, memoryview]]]:
    """Return the metadata document and the images, told apart by the parts' names."""
    documents = [part.data for part in parts if part.name == "metadata"]
    images = [part.data for part in parts if part.name == "image"]
    faults = []
    if len(documents) > 1:
        faults.append(Fault("metadata", f"is taken once; there are {len(documents)}"))
    if headers and documents and bytes(documents[0]) != headers[0]:
        faults.append(Fault(METADATA_HEADER, "differs from the part 'metadata': send one of them"))
    if not images:
        faults.append(Fault("image", "is needed at least once"))
    faults += [
        Fault(f"part[{index}]", "is named neither 'metadata' nor 'image'")
        for index, part in enumerate(parts)
        if part.name not in {"metadata", "image"}
    ]
    if faults:
        raise InvalidPartsError(tuple(faults))
    named = [(f"image[{index}]", data) for index, data in enumerate(images)]
    sent: list[bytes | memoryview] = [*documents, *headers]
    return next(iter(sent), None), named
