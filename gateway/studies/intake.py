"""From what an edge received, a document and files, to a `Study`."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway.errors import Fault, InvalidMetadataError, InvalidPartsError
from gateway.runtime.concurrency import together
from gateway.schemas.metadata import parse_document, validate_document
from gateway.schemas.result import ResultWarning
from gateway.schemas.strict_json import pointer
from gateway.studies.metadata.dicom import Described, describe
from gateway.studies.metadata.document_words import Worded, worded
from gateway.studies.refused_images import (
    IMAGE_ERRORS,
    PART_ERRORS,
    SHARED,
    ImageError,
    RefusedImage,
    identity_faults,
    raise_all,
)
from gateway.studies.study import Study, StudyImage
from gateway.vocabulary.terms import GENERIC_RADIOGRAPHY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.runtime.deadline import Deadline
    from gateway.schemas.metadata import StudyMetadata
    from gateway.studies.imaging import Imaging
    from gateway.studies.recorder import StudyRecorder
    from gateway.studies.refused_images import PartError
    from gateway.studies.study import Route

_EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_CLOCKS_APART = dt.timedelta(days=1)
_SEVERAL_STUDIES = (
    "joins data sets whose Study Instance UID (0020,000D) differs: see that they are of one study"
)


class Intake:
    """The intake of studies; for DICOM files their own attributes are the metadata.

    Parameters
    ----------
    imaging
        Reads the files' headers, off the event loop.
    outcomes
        Told of studies that are refused here.
    metadata_bytes
        The longest document taken.
    """

    def __init__(self, imaging: Imaging, recorder: StudyRecorder, *, metadata_bytes: int) -> None:
        self._imaging = imaging
        self._recorder = recorder
        self._metadata_bytes = metadata_bytes

    async def study(
        self,
        document: bytes | memoryview | None,
        files: Sequence[tuple[str, bytes | memoryview]],
        *,
        route: Route,
        caller: str,
        received_at: dt.datetime,
        deadline: Deadline,
    ) -> Study:
        """Return the study that a document and files make.

        Parameters
        ----------
        document
            The metadata document; None where the files, all DICOM, speak for themselves.
        files
            The name of the part and the bytes of each.
        route, caller, received_at
            The route, the caller's label and the time of arrival.
        deadline
            Of the request.

        Raises
        ------
        DeadlineExceededError
        InvalidMetadataError
            The document is not valid, or the files are of several studies or patients.
        InvalidPartsError, UnreadableImagesError, UnsupportedImagesError, ImagesTooLargeError
            No file can be processed: each is no DICOM while there is no document, contradicts the
            document, or has a header that cannot be read.
        """
        with self._recorder.of_validation(route, caller, files) as validation:
            sent = self._parse(document)
            validation.names(sent)
            async with deadline.bounds("validate"):
                headers = await together(
                    self._describe(part, data, received_at) for part, data in files
                )
            for header in headers:
                validation.names(header.document if isinstance(header, Described) else None)
            document_sent = None if sent is None else worded(sent)
            images, refused = _images(document_sent, files, headers, received_at)
            return Study(
                _joined(images),
                route,
                received_at,
                validation.seconds(),
                refused=tuple(refused),
                sent=tuple(files),
                caller=caller,
            )

    def _parse(self, document: bytes | memoryview | None) -> dict[str, Any] | None:
        if document is None:
            return None
        if len(document) > self._metadata_bytes:
            raise InvalidMetadataError((Fault("", f"is longer than {self._metadata_bytes} bytes"),))
        return parse_document(document)

    async def _describe(
        self, part: str, data: bytes | memoryview, received_at: dt.datetime
    ) -> Described | ImageError | None:
        """Return the description of a DICOM file, or the fault for which it cannot be read."""
        try:
            header = await self._imaging.dicom_metadata(part, data)
        except IMAGE_ERRORS as error:
            return error
        if header is None:
            return None
        described = describe(part, header, received_at)
        if header.has_pixel_data:
            return described
        try:  # a report: say so before anybody asks for its view
            await self._imaging.check_header(part, data)
        except IMAGE_ERRORS as error:
            return replace(described, error=error)
        return described


def _images(
    sent: Worded | None,
    files: Sequence[tuple[str, bytes | memoryview]],
    headers: Sequence[Described | ImageError | None],
    received_at: dt.datetime,
) -> tuple[list[StudyImage], list[RefusedImage]]:
    """Return the files with their metadata, and those that cannot be processed.

    Raises
    ------
    InvalidMetadataError
        They are not known to be of one study and one patient.
    RadStreamError
        None can be processed; see `raise_all`.
    """
    images: list[StudyImage] = []
    refused: list[RefusedImage] = []
    documents: list[dict[str, Any]] = []
    for (part, data), header in zip(files, headers, strict=True):
        if isinstance(header, IMAGE_ERRORS):
            refused.append(RefusedImage(part, header))
            continue
        try:
            metadata, notices = _metadata(part, sent, header)
            if header is not None and header.error is not None:
                raise header.error
        except PART_ERRORS as error:
            uid = None if header is None else header.uids.sop_instance_uid
            refused.append(RefusedImage(part, _of_picture(error, header), sop_instance_uid=uid))
            documents.append((header.document if header else {}) | (sent.document if sent else {}))
            continue
        notices += _unlikely(metadata, received_at)
        image = StudyImage(part, data, metadata, _unknown(metadata) + notices)
        if header is not None:
            image = replace(
                image,
                uids=header.uids,
                expected_instances=header.expected_instances,
                unfit=header.unfit,
            )
        images.append(image)
        documents.append(metadata.model_dump())
    if not images:
        raise_all(refused)
    _check_identity(documents, refused)
    told = _of_several_studies(headers)
    return [replace(image, notices=image.notices + told) for image in images], refused


def _check_identity(
    documents: Sequence[Mapping[str, Any]], refused: Sequence[RefusedImage]
) -> None:
    """Refuse all images where any may be of another study or patient, itself refused or not."""
    faults = [fault for item in refused for fault in identity_faults(item.error)]
    faults += [
        Fault(f"/{name}", "differs among the images sent together")
        for name in SHARED
        if len({document.get(name) for document in documents} - {None}) > 1
    ]
    if faults:
        raise InvalidMetadataError(tuple(dict.fromkeys(faults)))


def _of_several_studies(
    headers: Sequence[Described | ImageError | None],
) -> tuple[ResultWarning, ...]:
    """Return a notice where one document joins data sets of several studies."""
    described = (header for header in headers if isinstance(header, Described))
    uids = {header.document.get("study_id") for header in described} - {None}
    if len(uids) < 2:  # noqa: PLR2004 - several
        return ()
    return (ResultWarning(pointer="/study_id", detail=_SEVERAL_STUDIES),)


def _of_picture(error: PartError, header: Described | None) -> PartError:
    """Return the faults of a file: that it has no picture comes before all but its identity."""
    if header is None or header.error is None or identity_faults(error):
        return error
    return header.error


def _metadata(
    part: str, sent: Worded | None, described: Described | None
) -> tuple[StudyMetadata, tuple[ResultWarning, ...]]:
    """Return the metadata of one image, and what the sender should know of them."""
    if described is None:
        if sent is None:
            raise InvalidPartsError((Fault("metadata", f"is needed: {part} is no DICOM file"),))
        return validate_document(sent.document), sent.notices
    document = {} if sent is None else sent.document
    notices = () if sent is None else sent.notices
    return _completed(document, described), notices + _told(document, described)


def _completed(sent: dict[str, Any], described: Described) -> StudyMetadata:
    """Return the document, completed by the data set and held to it."""
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
    """Return the document without a modality that says less than the data set does."""
    generic = sent.get("modality") == GENERIC_RADIOGRAPHY
    return {
        name: value
        for name, value in sent.items()
        if not (name == "modality" and generic and "modality" in described.document)
    }


def _told(sent: dict[str, Any], described: Described) -> tuple[ResultWarning, ...]:
    return described.notices + tuple(
        notice
        for name, statement in described.statements.items()
        for notice in statement.notices(is_sent=name in sent)
    )


def _unknown(metadata: StudyMetadata) -> tuple[ResultWarning, ...]:
    return tuple(
        ResultWarning(pointer=pointer((name,)), detail="unknown field, kept with the study")
        for name in metadata.unknown_fields()
    )


def _unlikely(metadata: StudyMetadata, received_at: dt.datetime) -> tuple[ResultWarning, ...]:
    """Return a notice on a time at which no study can have been made."""
    if metadata.timestamp < _EARLIEST:
        detail = "lies before 1970"
    elif metadata.timestamp > received_at + _CLOCKS_APART:
        detail = "lies more than a day after the time of receipt"
    else:
        return ()
    return (ResultWarning(pointer="/timestamp", detail=detail),)


def _joined(images: Sequence[StudyImage]) -> tuple[StudyImage, ...]:
    """Return the images, each with the shared fields that only some of them gave."""
    shared = {
        name: next(filter(None, (getattr(image.metadata, name) for image in images)), None)
        for name in SHARED
    }
    return tuple(
        replace(image, metadata=image.metadata.model_copy(update=shared)) for image in images
    )
