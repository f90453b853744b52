"""From an HTTP request to a `Study`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from gateway.errors import (
    Fault,
    InvalidMetadataError,
    InvalidPartsError,
    RequestMediaTypeError,
)
from gateway.routers.body import read_body
from gateway.routers.multipart import split
from gateway.schemas.metadata import parse_metadata
from gateway.services.study import Route, Study, SubmittedImage
from preprocess import MediaType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import Request

    from gateway.routers.multipart import Part
    from gateway.settings import LimitSettings

METADATA_HEADER = "RadStream-Metadata"


async def read_submission(request: Request, limits: LimitSettings) -> Study:
    """The study that a POST carries, as multipart/form-data or as one image.

    Raises
    ------
    RequestMediaTypeError, MalformedRequestError, BodyTooLargeError, TooManyPartsError
        The request cannot be taken apart.
    InvalidPartsError, InvalidMetadataError
        It can, but the parts or the metadata are not as they should be.
    CallerGoneError
    """
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        body = await read_body(request, limits.body_bytes)
        parts = split(body, content_type, limit=limits.parts)
        document, images = _sort(parts)
    elif media_type in set(MediaType):
        header = request.headers.get(METADATA_HEADER)
        if header is None:
            raise InvalidPartsError(
                (Fault(METADATA_HEADER, "is required, as a JSON object in ASCII, with one image"),)
            )
        document = memoryview(header.encode("latin-1"))
        images = (SubmittedImage("body", memoryview(await read_body(request, limits.body_bytes))),)
    else:
        raise RequestMediaTypeError(media_type)
    received_at = dt.datetime.now(dt.UTC)
    if len(document) > limits.metadata_bytes:
        raise InvalidMetadataError((Fault("", f"is longer than {limits.metadata_bytes} bytes"),))
    return Study(parse_metadata(document), images, Route.REST, received_at)


def _sort(parts: Sequence[Part]) -> tuple[memoryview, tuple[SubmittedImage, ...]]:
    """The metadata document and the images, told apart by the parts' names."""
    documents = [part.data for part in parts if part.name == "metadata"]
    pictures = [part.data for part in parts if part.name == "image"]
    faults = []
    if len(documents) != 1:
        faults.append(Fault("metadata", f"is needed exactly once; there are {len(documents)}"))
    if not pictures:
        faults.append(Fault("image", "is needed at least once"))
    faults += [
        Fault(f"part[{index}]", "is named neither 'metadata' nor 'image'")
        for index, part in enumerate(parts)
        if part.name not in {"metadata", "image"}
    ]
    if faults:
        raise InvalidPartsError(tuple(faults))
    images = tuple(SubmittedImage(f"image[{index}]", data) for index, data in enumerate(pictures))
    return documents[0], images
