"""Images of the drop folder, each with its sidecar, on their way through the use case."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.dropfolder.binding import check_folder, completed, named_study
from gateway.dropfolder.objects import SHARE
from gateway.dropfolder.outcome import StoredImage, Taken
from gateway.dropfolder.pair_records import Failure
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
from gateway.runtime.concurrency import both
from gateway.schemas.events import Outcome
from gateway.studies.process import Received, StudySource, Turn

if TYPE_CHECKING:
    from gateway.admission.admission import Slot
    from gateway.dropfolder.binding import Bindings, StudyState
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.dropfolder.outcome import Outcomes
    from gateway.dropfolder.pair_records import PairRecords
    from gateway.pictures.pictures import Pictures
    from gateway.routing.in_force import Routing
    from gateway.runtime.deadline import Deadline
    from gateway.storage.protocol import Tagged
    from gateway.studies.imaging import Imaging
    from gateway.studies.process import AdmittedStudy, StudyProcessor
    from gateway.studies.study import Study

# Faults that a sidecar may mend where a DICOM file came without one.
_INCOMPLETE = (InvalidMetadataError, InvalidPartsError)
# Of a study that was deleted nothing is taken from the drop folder any more.
_GONE = (StudyDeletedError, StudyBeingDeletedError, StudyNotFoundError)


class DroppedImages:
    """The processing of dropped images: each ends as a result, a parked item, or nothing to do.

    Parameters
    ----------
    studies
        The use case.
    inbox
        The drop folder.
    bindings, records, outcomes
        Told of the outcome of each.
    imaging, pictures
        Name the bytes, and lay heat maps beside the results, where senders of files look.
    routing
        Names the senders of files.
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
        routing: Routing,
    ) -> None:
        self._studies = studies
        self._inbox = inbox
        self._bindings = bindings
        self._records = records
        self._outcomes = outcomes
        self._imaging = imaging
        self._pictures = pictures
        self._routing = routing

    async def process(
        self, image: Dropped, version_id: str | None, document: Tagged | None, deadline: Deadline
    ) -> Taken | None:
        """Return the outcome of an image; None where it needs a sidecar after all.

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
        work = _Work(image, version_id, document)

        async def receive(slot: Slot) -> Received:
            found, work.state = await both(
                self._inbox.image(image, version_id, reserve=slot.wait_for_bytes),
                self._bindings.look(image, named_study(image, work.sidecar)),
            )
            work.found = found
            return Received(completed(image, work.sidecar), [("image", found.data)])

        async def check(study: Study) -> Study:
            return await self._bindings.check(image, work.state, study)

        source = StudySource(
            self._inbox.route,
            self._routing.routes.senders.name_of_object(self._inbox.path_of(image)),
            SHARE,
            Turn.HELD,  # by the delivery
            receive,
            check=check,
        )
        async with AsyncExitStack() as stack:
            try:
                study = await stack.enter_async_context(self._studies.admitted(source, deadline))
            except ObjectNotFoundError:
                await self._records.waiting.remove((image, version_id))
                return Taken(Outcome.IGNORED)
            return await self._process(work, study)

    async def _process(self, work: _Work, study: AdmittedStudy) -> Taken | None:
        image, [(_, data)] = work.image, study.received.files
        try:
            check_folder(image)
            answer = await study.process()
            study_id, fresh = answer.result.study_id, answer.readings
            sha256 = fresh[0].sha256 if fresh else await self._imaging.sha256(data)
            _, listed = await both(
                self._pictures.store_heatmaps(study_id, sha256, data, fresh, answer.decoded),
                self._records.waiting.listed(image),
            )
        except TRANSIENT:
            raise
        except _GONE:
            listed = await self._records.waiting.listed(image)
            await self._records.clear(image, work.versions, listed)
            return Taken(Outcome.IGNORED)
        except RadStreamError as error:
            if work.document is None and isinstance(error, _INCOMPLETE):
                return None
            made, named = study.study, named_study(image, work.sidecar)
            return await self._records.park(
                Failure(
                    image,
                    error,
                    work.versions,
                    study_id=image.study_folder or (made.metadata.study_id if made else named),
                    sha256=await self._imaging.sha256(data),
                    image=made.images[0] if made else None,
                )
            )
        await self._bindings.bind(image, study_id)
        await self._records.clear(image, work.versions, listed)
        if not answer.replayed:
            self._outcomes.tell_freshness(work.found, work.document)
        outcome = Outcome.DUPLICATE if answer.replayed else Outcome.PROCESSED
        tag = work.found.tag if work.found else ""
        return Taken(
            outcome, study_id, stored=StoredImage(sha256, tag, work.versions, listed, answer)
        )


@dataclass(slots=True)
class _Work:
    """An image on its way.

    Parameters
    ----------
    image, version_id, document
        See `DroppedImages.process`.
    found
        The image as it was read.
    state
        Its study as the store has it, as far as the sidecar or the folder names one.
    """

    image: Dropped
    version_id: str | None
    document: Tagged | None
    found: Tagged | None = None
    state: StudyState | None = None

    @property
    def sidecar(self) -> bytes | None:
        """Bytes of the sidecar."""
        return self.document.data if self.document is not None else None

    @property
    def versions(self) -> tuple[str | None, ...]:
        """Versions under which the image may have waited; first the one that was read."""
        read = self.found.version_id if self.found is not None else None
        return tuple(dict.fromkeys((self.version_id or read, read, self.version_id)))
