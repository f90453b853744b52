"""From what an edge received, a document and files, to a `Study`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.errors import Fault, InvalidMetadataError, InvalidPartsError
from gateway.schemas.document import pointer
from gateway.schemas.metadata import parse_document, validate_document
from gateway.schemas.result import Notice
from gateway.schemas.vocabulary import GENERIC_RADIOGRAPHY
from gateway.services.dicom import Described, describe
from gateway.services.document_words import Worded, worded
from gateway.services.study import Study, SubmittedImage
from gateway.services.tasks import together

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from gateway.deadline import Deadline
    from gateway.schemas.metadata import StudyMetadata
    from gateway.services.imaging import Imaging
    from gateway.services.outcomes import Outcomes
    from gateway.services.study import Route

# What all images of a study have in common; the rest, such as the view, is each image's own.
_SHARED = ("study_id", "patient_id", "accession_number")


class Intake:
    """Makes studies; for DICOM files their own attributes are the metadata.

    Parameters
    ----------
    imaging
        Reads the files' headers, off the event loop.
    outcomes
        Told of studies that are refused here.
    metadata_bytes
        The longest document taken.
    """

    def __init__(self, imaging: Imaging, outcomes: Outcomes, *, metadata_bytes: int) -> None:
        self._imaging = imaging
        self._outcomes = outcomes
        self._metadata_bytes = metadata_bytes

    async def study(
        self,
        document: bytes | memoryview | None,
        files: Sequence[tuple[str, bytes | memoryview]],
        *,
        route: Route,
        received_at: dt.datetime,
        deadline: Deadline,
    ) -> Study:
        """The study that a document and files make.

        Parameters
        ----------
        document
            The metadata document; None where the files, all DICOM, speak for themselves.
        files
            The name of the part and the bytes of each.
        route, received_at
            How and when they came.
        deadline
            Of the request.

        Raises
        ------
        DeadlineExceededError
        InvalidPartsError
            A file is no DICOM, and there is no document.
        InvalidMetadataError
            The document is not valid, contradicts a data set, or the data sets one another.
        UnreadableImagesError, UnsupportedImagesError, ImagesTooLargeError
            A DICOM file's header cannot be read.
        """
        with self._outcomes.of_validation(route, files) as validation:
            sent = self._parse(document)
            validation.names(sent)
            async with deadline.bounds("validate"):
                headers = await together(
                    self._describe(part, data, received_at) for part, data in files
                )
            for header in filter(None, headers):
                validation.names(header.document)
            images = _images(None if sent is None else worded(sent), files, headers)
            return Study(_joined(images), route, received_at, validation.seconds())

    def _parse(self, document: bytes | memoryview | None) -> dict[str, Any] | None:
        if document is None:
            return None
        if len(document) > self._metadata_bytes:
            raise InvalidMetadataError((Fault("", f"is longer than {self._metadata_bytes} bytes"),))
        return parse_document(document)

    async def _describe(
        self, part: str, data: bytes | memoryview, received_at: dt.datetime
    ) -> Described | None:
        header = await self._imaging.dicom_metadata(part, data)
        return None if header is None else describe(part, header, received_at)


def _images(
    sent: Worded | None,
    files: Sequence[tuple[str, bytes | memoryview]],
    headers: Sequence[Described | None],
) -> list[SubmittedImage]:
    """The files with their metadata; the faults of all of them, if there are any."""
    images: list[SubmittedImage] = []
    faults: list[Fault] = []
    for (part, data), header in zip(files, headers, strict=True):
        try:
            metadata, notices = _metadata(part, sent, header)
        except InvalidMetadataError as error:
            faults += error.faults
            continue
        images.append(SubmittedImage(part, data, metadata, _unknown(metadata) + notices))
    faults = faults or _disagreements(images)
    if faults:
        raise InvalidMetadataError(tuple(dict.fromkeys(faults)))
    return images


def _metadata(
    part: str, sent: Worded | None, described: Described | None
) -> tuple[StudyMetadata, tuple[Notice, ...]]:
    """The metadata of one image, and what the sender should know of them."""
    if described is None:
        if sent is None:
            raise InvalidPartsError((Fault("metadata", f"is needed: {part} is no DICOM file"),))
        return validate_document(sent.document), sent.notices
    document = {} if sent is None else sent.document
    notices = () if sent is None else sent.notices
    return _completed(document, described), notices + _told(document, described)


def _completed(sent: dict[str, Any], described: Described) -> StudyMetadata:
    """The document, completed by the data set and held to it."""
    document = _specific(sent, described)
    metadata = validate_document(described.document | document)
    given = metadata.model_dump(mode="json", include=set(document))
    faults = (
        statement.fault(name, given.get(name)) for name, statement in described.statements.items()
    )
    found = tuple(fault for fault in faults if fault is not None)
    if found:
        raise InvalidMetadataError(found)
    return metadata


def _specific(sent: dict[str, Any], described: Described) -> dict[str, Any]:
    """The document without a modality that says less than the data set does."""
    generic = sent.get("modality") == GENERIC_RADIOGRAPHY
    return {
        name: value
        for name, value in sent.items()
        if not (name == "modality" and generic and "modality" in described.document)
    }


def _told(sent: dict[str, Any], described: Described) -> tuple[Notice, ...]:
    return described.notices + tuple(
        notice
        for name, statement in described.statements.items()
        for notice in statement.notices(is_sent=name in sent)
    )


def _unknown(metadata: StudyMetadata) -> tuple[Notice, ...]:
    return tuple(
        Notice(pointer=pointer((name,)), detail="unknown field, kept with the study")
        for name in metadata.unknown_fields()
    )


def _disagreements(images: Sequence[SubmittedImage]) -> list[Fault]:
    """Faults where the images of one request speak of different studies or patients."""
    return [
        Fault(f"/{name}", "differs among the images sent together")
        for name in _SHARED
        if len({getattr(image.metadata, name) for image in images} - {None}) > 1
    ]


def _joined(images: Sequence[SubmittedImage]) -> tuple[SubmittedImage, ...]:
    """The images, each with the shared fields that only some of them gave."""
    shared = {
        name: next(filter(None, (getattr(image.metadata, name) for image in images)), None)
        for name in _SHARED
    }
    return tuple(
        SubmittedImage(
            image.part, image.data, image.metadata.model_copy(update=shared), image.notices
        )
        for image in images
    )
