"""Halves that wait for their other half though it could not mend them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gateway.dropfolder.binding import check_folder, check_named
from gateway.dropfolder.objects import SHARE
from gateway.dropfolder.pair_records import Failure
from gateway.errors import (
    TRANSIENT,
    ObjectNotFoundError,
    ObjectNotReadableError,
    ObjectTooLargeError,
    RadStreamError,
)
from gateway.schemas.metadata import parse_document, validate_document
from gateway.schemas.parked import Half
from gateway.studies.metadata.document_words import worded

if TYPE_CHECKING:
    from gateway.admission.admission import Admission
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.dropfolder.outcome import Taken
    from gateway.dropfolder.pair_records import PairRecords
    from gateway.storage.protocol import Reserve
    from gateway.studies.imaging import Imaging


class LoneHalves:
    """Looks at a half by itself, and parks it where that is all there is to do.

    Parameters
    ----------
    inbox
        The drop folder.
    imaging
        Decodes images.
    records
        Records of what is parked.
    admission
        Gives it a turn, and room for its bytes.
    """

    def __init__(
        self, inbox: Inbox, imaging: Imaging, records: PairRecords, admission: Admission
    ) -> None:
        self._inbox = inbox
        self._imaging = imaging
        self._records = records
        self._admission = admission

    async def park_hopeless(self, half: Dropped, version_id: str | None) -> Taken | None:
        """Park a half that waits, if its other half could not mend it; else return None.

        Raises
        ------
        ObjectNotReadableError, StoreUnavailableError
        """
        try:
            with self._admission.slot(SHARE) as slot:
                await slot.wait()
                await self._check(half, version_id, reserve=slot.wait_for_bytes)
        except (*TRANSIENT, ObjectNotReadableError):
            raise
        except RadStreamError as error:
            return await self.park(half, version_id, error)
        return None

    async def park(self, half: Dropped, version_id: str | None, error: RadStreamError) -> Taken:
        """Park a half that was never looked at beside its other one."""
        sha256 = None
        if half.half is Half.IMAGE and half.study_folder is not None:
            with (
                suppress(ObjectNotFoundError, ObjectNotReadableError, ObjectTooLargeError),
                self._admission.slot(SHARE) as slot,
            ):
                await slot.wait()
                found = await self._inbox.image(half, version_id, reserve=slot.wait_for_bytes)
                sha256 = await self._imaging.sha256(found.data)
        return await self._records.park(
            Failure(half, error, (version_id,), study_id=half.study_folder, sha256=sha256)
        )

    async def _check(self, half: Dropped, version_id: str | None, *, reserve: Reserve) -> None:
        """Hold an image to its pixels, and a sidecar to what it says.

        Raises
        ------
        UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError
        ImagesWithoutContrastError
            No sidecar makes this a picture that is read.
        ObjectTooLargeError, InvalidKeyError
            It is not read at all.
        InvalidMetadataError
            No image makes this a sidecar, or its folder can be of no study.
        StoreUnavailableError
        """
        check_folder(half)
        try:
            if half.half is Half.IMAGE:
                image = await self._inbox.image(half, version_id, reserve=reserve)
                await self._imaging.check("image", image.data)
            elif (document := await self._inbox.document(half)) is not None:
                _check_document(half, parse_document(document.data))
        except ObjectNotFoundError:  # it was taken away
            return


def _check_document(sidecar: Dropped, document: dict[str, Any]) -> None:
    """Hold a sidecar to what it says; what it lacks, a DICOM file may tell.

    Raises
    ------
    InvalidMetadataError
    """
    lacking = {"study_id": sidecar.study_folder or "none", "timestamp": "2000-01-01T00:00:00Z"}
    metadata = validate_document(lacking | worded(document).document)
    if "study_id" in document:
        check_named(sidecar, metadata.study_id)
