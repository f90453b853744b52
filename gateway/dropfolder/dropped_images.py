"""Images of the drop folder, each with its sidecar, on their way through the use case."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from gateway.access.callers import DROP_FOLDER_LABEL
from gateway.dropfolder.binding import check_folder, completed, named_study
from gateway.dropfolder.objects import SHARE
from gateway.dropfolder.outcome import Taken
from gateway.errors import (
    TRANSIENT,
    InvalidMetadataError,
    InvalidPartsError,
    ObjectNotFoundError,
    RadStreamError,
    StudyBeingDeletedError,
    StudyDeletedError,
    StudyNotFoundError,
)
from gateway.schemas.events import Outcome
from gateway.studies.process import Received, StudySource, Turn

if TYPE_CHECKING:
    from gateway.admission.admission import Slot
    from gateway.dropfolder.binding import Bindings
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.dropfolder.outcome import Outcomes
    from gateway.dropfolder.pair_records import PairRecords
    from gateway.pictures.pictures import Pictures
    from gateway.runtime.deadline import Deadline
    from gateway.studies.imaging import Imaging
    from gateway.studies.process import AdmittedStudy, StudyProcessor

# What a sidecar may mend where a DICOM file came without one.
_INCOMPLETE = (InvalidMetadataError, InvalidPartsError)
# Of a study that was deleted nothing is taken from the drop folder any more.
_GONE = (StudyDeletedError, StudyBeingDeletedError, StudyNotFoundError)


class DroppedImages:
    """Has images processed, and leaves of each a result, a parked item, or nothing to do.

    Parameters
    ----------
    studies
        The use case.
    inbox
        Where the images are.
    bindings, records, outcomes
        Told of what became of each.
    imaging, pictures
        Name the bytes, and lay heat maps beside the results, where whoever drops files looks.
    """

    def __init__(
        self,
        studies: StudyProcessor,
        *,
        inbox: Inbox,
        bindings: Bindings,
        records: PairRecords,
        outcomes: Outcomes,
        imaging: Imaging,
        pictures: Pictures,
    ) -> None:
        self._studies = studies
        self._inbox = inbox
        self._bindings = bindings
        self._records = records
        self._outcomes = outcomes
        self._imaging = imaging
        self._pictures = pictures

    async def process(
        self, image: Dropped, version_id: str | None, document: bytes | None, deadline: Deadline
    ) -> Taken | None:
        """Return what became of an image; None where it needs a sidecar after all.

        Parameters
        ----------
        document
            Its sidecar; None where a DICOM file came without one.

        Raises
        ------
        ObjectNotReadableError, ObjectTooLargeError
            It cannot be read.
        RadStreamError
            One of `TRANSIENT`.
        """
        source = StudySource(
            self._inbox.route,
            DROP_FOLDER_LABEL,
            SHARE,
            Turn.HELD,  # by the delivery
            partial(self._receive, image, version_id, document),
            check=partial(self._bindings.check, image),
        )
        async with AsyncExitStack() as stack:
            try:
                study = await stack.enter_async_context(self._studies.admitted(source, deadline))
            except ObjectNotFoundError:
                await self._records.waiting.remove((image, version_id))
                return Taken(Outcome.IGNORED)
            return await self._process(image, version_id, document, study)

    async def _receive(
        self, image: Dropped, version_id: str | None, document: bytes | None, slot: Slot
    ) -> Received:
        data = await self._inbox.image(image, version_id, reserve=slot.wait_for_bytes)
        return Received(completed(image, document), [("image", data)])

    async def _process(
        self,
        image: Dropped,
        version_id: str | None,
        document: bytes | None,
        study: AdmittedStudy,
    ) -> Taken | None:
        [(_, data)] = study.received.files
        sha256 = await self._imaging.sha256(data)
        try:
            check_folder(image)
            answer = await study.process()
            study_id = answer.result.study_id
            await self._pictures.store_heatmaps(study_id, sha256, data, answer.readings)
        except TRANSIENT:
            raise
        except _GONE:
            await self._records.clear(image, version_id)
            return Taken(Outcome.IGNORED)
        except RadStreamError as error:
            if document is None and isinstance(error, _INCOMPLETE):
                return None
            made = study.study
            named = named_study(image, document)
            return await self._records.park(
                image,
                version_id,
                error,
                study_id=image.study_folder or (made.metadata.study_id if made else named),
                sha256=sha256,
                image=made.images[0] if made else None,
            )
        await self._bindings.bind(image, study_id)
        await self._records.clear(image, version_id)
        if not answer.replayed:
            await self._outcomes.tell_freshness(image, version_id, has_sidecar=document is not None)
        outcome = Outcome.DUPLICATE if answer.replayed else Outcome.PROCESSED
        return Taken(outcome, study_id, stored=(sha256, answer))
