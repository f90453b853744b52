"""From an HTTP request to a `Study`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.errors import Fault, InvalidPartsError, RadStreamError, RequestMediaTypeError
from gateway.routers.body import read_body
from gateway.routers.multipart import split
from gateway.services.study import Route
from preprocess import MediaType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

    from gateway.routers.multipart import Part
    from gateway.services.intake import Intake
    from gateway.services.study import Study
    from gateway.settings import LimitSettings

log = structlog.get_logger()

METADATA_HEADER = "RadStream-Metadata"


@dataclass(frozen=True, slots=True)
class Sent:
    """A study, and the metadata document it was made of, as it was sent."""

    study: Study
    document: bytes | memoryview | None


async def read_submission(request: Request, intake: Intake, limits: LimitSettings) -> Sent:
    """The study that a POST carries, as multipart/form-data or as one image.

    Raises
    ------
    RequestMediaTypeError, MalformedRequestError, BodyTooLargeError, TooManyPartsError
        The request cannot be taken apart.
    InvalidPartsError, InvalidMetadataError
        It can, but the parts or the metadata are not as they should be; see `Intake.study`.
    CallerGoneError
    """
    try:
        document, files = await _parts(request, limits)
    except RadStreamError as error:  # not yet a study, whose end has a line of its own
        log.info("request.refused", error=type(error).__name__)
        raise
    received_at = dt.datetime.now(dt.UTC)
    study = await intake.study(document, files, route=Route.REST, received_at=received_at)
    return Sent(study, document)


async def _parts(
    request: Request, limits: LimitSettings
) -> tuple[bytes | memoryview | None, list[tuple[str, memoryview]]]:
    """The metadata document, if there is one, and the images with their parts' names."""
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        body = await read_body(request, limits.body_bytes)
        return _sort(split(body, content_type, limit=limits.parts))
    if media_type in set(MediaType):
        header = request.headers.get(METADATA_HEADER)
        document = None if header is None else header.encode("latin-1")
        return document, [("body", memoryview(await read_body(request, limits.body_bytes)))]
    raise RequestMediaTypeError(media_type)


def _sort(
    parts: Sequence[Part],
) -> tuple[memoryview | None, list[tuple[str, memoryview]]]:
    """The metadata document and the images, told apart by the parts' names."""
    documents = [part.data for part in parts if part.name == "metadata"]
    images = [part.data for part in parts if part.name == "image"]
    faults = []
    if len(documents) > 1:
        faults.append(Fault("metadata", f"is taken once; there are {len(documents)}"))
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
    return (documents[0] if documents else None), named
