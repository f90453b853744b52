"""From objects that come to the drop folder, in any order and more than once, to studies.

There is no database: the drop folder and the store say all there is to know. Any number of
gateways work on them at once, and what follows holds whatever the order of their steps.

1. **No pair is overlooked.** A delivery comes after its object. Of two halves, the delivery that
   looks last finds both. Whoever finds one alone first notes that it waits and then looks again:
   either it sees the other half now, or the other half comes later and its delivery sees both.
2. **A pair is read once.** The lease on an image's bytes is held from before the look for a stored
   reading until the reading is stored (`gateway.work.leases`). Whoever gets the lease after
   that finds the reading. A lease that outlived its owner is taken over by the next delivery or
   sweep. Should two still read at once, the store keeps one reading, and both answer with it.
3. **Nobody answers for another.** A delivery says that its study is done only when it has seen the
   stored result or the parked item; else it ends in an error and is repeated.
4. **Nothing waits for ever, nothing is dropped.** What waits longer than the deadline is parked by
   a sweep; then the sweep looks again, since the other half may have been taken while it parked.
   What is taken after all clears what waited and was parked of it, in that order of steps: the
   reading first.
5. **Bytes and versions decide.** An image's delivery reads the version that it names; the same
   bytes are a duplicate, other bytes another image of the study, and of those that were read under
   one name the image stands whose bytes lie there now (`gateway.dropfolder.superseding`). A sidecar
   is read as it is now. A sidecar that names another study, patient or order than before is a
   conflict: the image is parked, and nothing stored changes.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from gateway.access.callers import DROP_FOLDER_LABEL
from gateway.dropfolder.documents import Binding
from gateway.dropfolder.lone_halves import LoneHalves, check_folder
from gateway.errors import (
    TRANSIENT,
    DeadlineExceededError,
    DeliveryUnfinishedError,
    Fault,
    InvalidMetadataError,
    InvalidPartsError,
    MissingHalfError,
    ObjectNotFoundError,
    ObjectNotReadableError,
    ObjectTooLargeError,
    RadStreamError,
    StudyBeingDeletedError,
    StudyConflictError,
    StudyDeletedError,
    StudyNotFoundError,
    log_fields,
)
from gateway.observability.library_warnings import one_event
from gateway.observability.tracing import NO_TRACER, spanned
from gateway.runtime.concurrency import both, together
from gateway.runtime.deadline import Deadline
from gateway.schemas.events import Delivery, Outcome
from gateway.schemas.metadata import STUDY_ID_PATTERN, parse_document
from gateway.schemas.parked import Half
from gateway.schemas.result import study_path
from gateway.storage.documents import read_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.trace import Tracer

    from gateway.admission.admission import Admission
    from gateway.dropfolder.documents import WaitingHalf
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.dropfolder.parked_images import ParkedImages
    from gateway.dropfolder.superseding import Superseding
    from gateway.dropfolder.waiting import WaitingHalves
    from gateway.observability.logs import Pseudonyms
    from gateway.observability.metrics import Metrics
    from gateway.pictures.pictures import Pictures
    from gateway.results.deletion import Deletion
    from gateway.schemas.parked import ParkedItem
    from gateway.storage.protocol import ObjectStore
    from gateway.studies.imaging import Imaging
    from gateway.studies.intake import Intake
    from gateway.studies.pipeline import Answer, Pipeline
    from gateway.studies.study import Study, StudyImage
    from gateway.work.leases import Leases
    from gateway.work.parked import Parking

log = structlog.get_logger()

LEASES = "pairing/claims/"
BINDINGS = "pairing/bindings/"
_STUDY_ID = re.compile(STUDY_ID_PATTERN)
# Whose share of the gateway the drop folder's work takes of, whoever brings the events.
_SHARE = "drop folder"
_GRACE_S = 1.0
# What a sidecar may mend where a DICOM file came without one.
_INCOMPLETE = (InvalidMetadataError, InvalidPartsError)
# Of a study that was deleted nothing is taken from the drop folder any more.
_GONE = (StudyDeletedError, StudyBeingDeletedError, StudyNotFoundError)

# Of the outcomes of one delivery the one that is told: what needs somebody's eye first.
_GRAVEST = (
    Outcome.PARKED,
    Outcome.PROCESSED,
    Outcome.DUPLICATE,
    Outcome.WAITING,
    Outcome.IGNORED,
)
_DETAILS = {
    Outcome.PARKED: "It failed for good and is parked until an operator retries or discards it.",
    Outcome.PROCESSED: "The study's result is stored.",
    Outcome.DUPLICATE: "The same bytes had been read before; the stored result stands.",
    Outcome.WAITING: "It waits for its other half.",
    Outcome.IGNORED: "It is no image or sidecar of the drop folder, is gone, or its study was "
    "deleted.",
}


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of one image, or of a half that has no other."""

    outcome: Outcome
    study_id: str | None = None
    parked: ParkedItem | None = None
    stored: tuple[str, Answer] | None = None


class Pairing:
    """Brings halves together and their studies through the pipeline.

    Parameters
    ----------
    inbox, objects
        Where the halves are, and where state and results are kept.
    intake, pipeline, imaging
        What every way in ends in.
    pictures
        Lays the heat maps beside the results, where whoever drops files looks for them.
    leases, waiting, parking
        The state, each under its own keys.
    parked_images
        Parks images so that the views of their studies tell it.
    deletion
        Knows the studies that were deleted: their files may still lie in the drop folder.
    timeout_s
        Seconds that a delivery may take.
    waiting_deadline_s
        Seconds that a half may wait.
    admission
        Gives each image its turn and its room: nothing here is refused, it waits.
    superseding
        Notes which image stands where a name has come to hold another one; nothing does if None.
    tracer
        Makes a span of each delivery: in a watched folder it begins the study's trace.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        objects: ObjectStore,
        intake: Intake,
        pipeline: Pipeline,
        pictures: Pictures,
        imaging: Imaging,
        leases: Leases,
        waiting: WaitingHalves,
        parking: Parking,
        parked_images: ParkedImages,
        deletion: Deletion,
        metrics: Metrics,
        pseudonyms: Pseudonyms,
        timeout_s: float,
        waiting_deadline_s: float,
        admission: Admission,
        superseding: Superseding | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._superseding = superseding
        self._inbox = inbox
        self._objects = objects
        self._intake = intake
        self._pipeline = pipeline
        self._pictures = pictures
        self._imaging = imaging
        self._leases = leases
        self._waiting = waiting
        self._parking = parking
        self._parked_images = parked_images
        self._deletion = deletion
        self._metrics = metrics
        self._pseudonyms = pseudonyms
        self._tracer = tracer
        self._timeout_s = timeout_s
        self._waiting_deadline_s = waiting_deadline_s
        self._admission = admission
        self._lone_halves = LoneHalves(inbox, imaging)

    async def deliver(
        self,
        key: str,
        version_id: str | None = None,
        deadline: Deadline | None = None,
        *,
        patient: bool = True,
    ) -> Delivery:
        """What became of an object that came to the drop folder.

        Parameters
        ----------
        key, version_id
            Of the object; without a version the current one is meant.
        deadline
            Of whoever waits for the answer; none but the pairing's own if None.
        patient
            Whether to wait for another that is at the same image.

        Raises
        ------
        DeliveryUnfinishedError, InferenceUnavailableError, InferenceOverloadedError,
        OverloadedError, StoreUnavailableError
            The delivery is to be repeated.
        """
        dropped = self._inbox.find(key)
        if dropped is None or await self._inbox.is_left_alone(dropped, version_id):
            return self._told(key, [_Taken(Outcome.IGNORED)])
        if dropped.half is Half.SIDECAR:
            version_id = None  # the latest word counts
        try:
            taken = await self._take(dropped, version_id, deadline, patient=patient)
            if not taken:
                await self._waiting.add(dropped, version_id)
                taken = await self._take(dropped, version_id, deadline, patient=patient)
                taken = taken or await self._park_hopeless(dropped, version_id)
        except ObjectNotReadableError:
            await self._waiting.add(dropped, version_id)
            taken = []
        return self._told(dropped.stem, taken or [_Taken(Outcome.WAITING)])

    async def retry(self, parked_id: str) -> Delivery:
        """What became of a parked object that was tried again.

        Raises
        ------
        ParkedItemNotFoundError
        DeliveryUnfinishedError, InferenceUnavailableError, InferenceOverloadedError,
        OverloadedError, StoreUnavailableError
            It stays parked.
        """
        item = await self._parking.item(parked_id)
        dropped = self._inbox.find(item.key)
        try:
            taken = await self._take(dropped, item.version_id) if dropped else []
        except ObjectNotReadableError:
            taken = []
        return self._told(item.key, taken or [_Taken(Outcome.PARKED, parked=item)])

    async def sweep(self) -> None:
        """Take up what was left: studies whose gateway died, halves whose other half is there now.

        Halves that waited too long are parked. Any gateway may sweep, and several at once.
        """
        for lease_key, lease in await self._leases.expired():
            with _postponing():
                await self.deliver(lease.key, lease.version_id)
                await self._leases.forget(lease_key)
        halves = await self._waiting.all()
        for half in halves:
            with _postponing():
                await self._look_after(half)
        left = await self._waiting.all() if halves else []
        self._metrics.dropfolder.keep_waiting([half.since for half in left])

    async def _look_after(self, half: WaitingHalf) -> None:
        dropped = self._inbox.find(half.key)
        if dropped is None:  # waits since the drop folder had another prefix
            return
        if await self._inbox.is_left_alone(dropped, half.version_id):  # now that it can be read
            await self._waiting.remove((dropped, half.version_id))
            return
        missing = "sidecar" if dropped.half is Half.IMAGE else "image"
        error: RadStreamError = MissingHalfError(missing, int(self._waiting_deadline_s))
        try:
            taken = await self._take(dropped, half.version_id)
        except ObjectNotReadableError as closed:
            taken, error = [], closed
        waited = dt.datetime.now(dt.UTC) - half.since
        if not taken and waited.total_seconds() >= self._waiting_deadline_s:
            self._told(dropped.stem, [await self._park_lone(dropped, half.version_id, error)])
            with suppress(ObjectNotReadableError):
                taken = await self._take(dropped, half.version_id)
        if taken:
            self._told(dropped.stem, taken)

    async def _park_hopeless(self, dropped: Dropped, version_id: str | None) -> list[_Taken]:
        """Park a half that waits, if its other half could not mend it."""
        with self._admission.slot(_SHARE) as slot:
            await slot.wait()
            try:
                await self._lone_halves.check(dropped, version_id, reserve=slot.wait_for_bytes)
            except (*TRANSIENT, ObjectNotReadableError):
                raise
            except RadStreamError as error:
                hopeless = error
            else:
                return []
        parked = [await self._park_lone(dropped, version_id, hopeless)]
        return await self._take(dropped, version_id) or parked

    async def _park_lone(
        self, dropped: Dropped, version_id: str | None, error: RadStreamError
    ) -> _Taken:
        """Park a half that was never looked at beside its other one."""
        sha256 = None
        if dropped.half is Half.IMAGE and dropped.study_folder is not None:
            with (
                suppress(ObjectNotFoundError, ObjectNotReadableError, ObjectTooLargeError),
                self._admission.slot(_SHARE) as slot,
            ):
                await slot.wait()
                data = await self._inbox.image(dropped, version_id, reserve=slot.wait_for_bytes)
                sha256 = await self._imaging.sha256(data)
        return await self._park(
            dropped, version_id, error, study_id=dropped.study_folder, sha256=sha256
        )

    async def _take(
        self,
        dropped: Dropped,
        version_id: str | None,
        deadline: Deadline | None = None,
        *,
        patient: bool = True,
    ) -> list[_Taken]:
        """What became of the images that the object makes complete; none where its half lacks."""
        deadline = deadline or Deadline.after(self._timeout_s)
        patience = self._leases.patience(deadline)
        while True:
            try:
                return await self._take_once(dropped, version_id, deadline)
            except DeliveryUnfinishedError as error:
                if error.claimed is None or not patient:
                    raise
                # Whoever waits holds no turn and no room meanwhile.
                if not await self._leases.ended(error.claimed, patience):
                    raise

    async def _take_once(
        self, dropped: Dropped, version_id: str | None, deadline: Deadline
    ) -> list[_Taken]:
        try:
            with spanned(self._tracer, "delivery"), self._admission.slot(_SHARE) as slot:
                # A study is to end by its own deadline, and to tell telemetry so; this one stops
                # what does not.
                async with deadline.later(_GRACE_S).bounds("dropfolder"):
                    await slot.wait()
                    if dropped.half is Half.IMAGE:
                        return await self._take_image(dropped, version_id, deadline)
                    return await self._take_sidecar(dropped, deadline)
        except DeadlineExceededError as error:
            raise DeliveryUnfinishedError(f"its time was used up in stage {error.stage}") from error
        except (*TRANSIENT, ObjectNotReadableError):
            raise
        except RadStreamError as error:  # the sidecar cannot be read, whatever image it is for
            return [await self._park(dropped, version_id, error)]

    async def _take_image(
        self, image: Dropped, version_id: str | None, deadline: Deadline
    ) -> list[_Taken]:
        try:
            document = await self._inbox.document(image)
        except ObjectTooLargeError as error:
            return [await self._park_sidecar(image, error)]
        if document is None and not image.may_stand_alone:
            return []
        return await self._read(image, version_id, document, deadline)

    async def _take_sidecar(self, sidecar: Dropped, deadline: Deadline) -> list[_Taken]:
        try:
            document = await self._inbox.document(sidecar)
        except ObjectTooLargeError as error:
            return [await self._park_sidecar(sidecar, error)]
        if document is None:
            await self._waiting.remove((sidecar, None))
            return [_Taken(Outcome.IGNORED)]
        taken: list[_Taken] = []
        for image, version_id in await self._images(sidecar):
            try:
                taken += await self._read(image, version_id, document, deadline)
            except ObjectNotReadableError:  # the image waits to be opened, not its sidecar
                await self._waiting.add(image, version_id)
                await self._waiting.remove((sidecar, None))
                taken.append(_Taken(Outcome.WAITING))
        return taken

    async def _images(self, sidecar: Dropped) -> list[tuple[Dropped, str | None]]:
        """The images beside a sidecar: every version that waits, and what is there now."""
        waiting = [
            (image, half.version_id)
            for half in await self._waiting.beside(sidecar)
            if (image := self._inbox.find(half.key)) and image.half is Half.IMAGE
        ]
        known = {image.key for image, _ in waiting}
        there = await self._inbox.images_of(sidecar)
        return waiting + [(image, None) for image in there if image.key not in known]

    async def _read(
        self, image: Dropped, version_id: str | None, document: bytes | None, deadline: Deadline
    ) -> list[_Taken]:
        """What became of an image; none where it needs a sidecar after all."""
        with self._admission.slot(_SHARE) as slot:
            try:
                data = await self._inbox.image(image, version_id, reserve=slot.wait_for_bytes)
            except ObjectNotFoundError:
                await self._waiting.remove((image, version_id))
                return [_Taken(Outcome.IGNORED)]
            with one_event():
                taken = await self._read_bytes(image, version_id, data, document, deadline)
        for item in taken:  # now that its own bytes have left their room
            if item.stored is not None and self._superseding is not None:
                await self._superseding.settle(image, *item.stored)
        return taken

    async def _read_bytes(
        self,
        image: Dropped,
        version_id: str | None,
        data: bytes,
        document: bytes | None,
        deadline: Deadline,
    ) -> list[_Taken]:
        sha256 = await self._imaging.sha256(data)
        async with self._leases.held(f"{image.reference}/{sha256}", image.key, version_id):
            study_id, study = _named(image, document), None
            try:
                study = await self._study(image, data, document, deadline)
                study_id = study.metadata.study_id
                _, was_deleted = await both(
                    self._check_binding(image, study),
                    self._deletion.was_deleted(study_id),
                )
                if was_deleted:
                    raise StudyDeletedError
                answer = await self._pipeline.process(study, deadline)
                await self._pictures.store_heatmaps(study_id, sha256, data, answer.readings)
            except TRANSIENT:
                raise
            except RadStreamError as error:
                if document is None and isinstance(error, _INCOMPLETE):
                    return []
                if isinstance(error, _GONE):
                    await self._clear(image, version_id)
                    return [_Taken(Outcome.IGNORED)]
                parked = await self._park(
                    image,
                    version_id,
                    error,
                    study_id=study_id,
                    sha256=sha256,
                    image=study.images[0] if study else None,
                )
                return [parked]
            await self._bind(image, study.metadata.study_id)
            await self._clear(image, version_id)
        if not answer.replayed:
            await self._tell_freshness(image, version_id, has_sidecar=document is not None)
        outcome = Outcome.DUPLICATE if answer.replayed else Outcome.PROCESSED
        return [_Taken(outcome, study.metadata.study_id, stored=(sha256, answer))]

    async def _tell_freshness(
        self, image: Dropped, version_id: str | None, *, has_sidecar: bool
    ) -> None:
        try:
            since = await self._inbox.complete_since(image, version_id, has_sidecar=has_sidecar)
        except RadStreamError:  # taken away meanwhile, or a store that has just answered
            return
        self._metrics.studies.tell_freshness(self._inbox.route, since)

    async def _study(
        self, image: Dropped, data: bytes, document: bytes | None, deadline: Deadline
    ) -> Study:
        check_folder(image)
        study = await self._intake.study(
            _completed(image, document),
            [("image", data)],
            route=self._inbox.route,
            caller=DROP_FOLDER_LABEL,
            received_at=dt.datetime.now(dt.UTC),
            deadline=deadline,
        )
        if image.study_folder not in {None, study.metadata.study_id}:
            raise InvalidMetadataError(
                (Fault("/study_id", "differs from the folder that the image lies in"),)
            )
        return replace(study, dropped_as=image.reference)

    async def _check_binding(self, image: Dropped, study: Study) -> None:
        """Refuse an image that was read for another study; its folder cannot tell."""
        if image.study_folder is not None:
            return
        try:
            key = _binding_key(image)
            bound = read_document(Binding, key, await self._objects.read(key))
        except ObjectNotFoundError:
            return
        if bound.study != _study_reference(study.metadata.study_id):
            raise StudyConflictError(
                (Fault("/study_id", "differs from the study this image was read for before"),)
            )

    async def _bind(self, image: Dropped, study_id: str) -> None:
        if image.study_folder is None:
            document = (
                Binding(study=_study_reference(study_id)).model_dump_json(by_alias=True).encode()
            )
            await self._objects.create(_binding_key(image), document, media_type="application/json")

    async def _park(
        self,
        dropped: Dropped,
        version_id: str | None,
        error: RadStreamError,
        *,
        study_id: str | None = None,
        sha256: str | None = None,
        image: StudyImage | None = None,
    ) -> _Taken:
        item = await self._parked_images.park(
            dropped, version_id, error, study_id=study_id, sha256=sha256, image=image
        )
        await self._waiting.remove((dropped, version_id))
        if dropped.half is Half.IMAGE:  # what was parked of its sidecar alone is told with it
            await self._parking.clear(self._inbox.sidecar_of(dropped))
        return _Taken(Outcome.PARKED, parked=item)

    async def _park_sidecar(self, dropped: Dropped, error: RadStreamError) -> _Taken:
        """Park the sidecar of a pair alone, however many images it is for.

        The images are found beside it when it is mended; older versions of them wait for that.
        """
        waiting = await self._waiting.beside(dropped)
        images = [self._inbox.find(half.key) for half in waiting if half.version_id is None]
        await self._waiting.remove((dropped, None), *((image, None) for image in images if image))
        return await self._park(self._inbox.sidecar_of(dropped), None, error)

    async def _clear(self, image: Dropped, version_id: str | None) -> None:
        """Forget what waited and was parked of an image that was taken."""
        sidecar = self._inbox.sidecar_of(image)
        await together(
            [
                self._waiting.remove((image, version_id), (sidecar, None)),
                self._parked_images.clear(image, sidecar),
            ]
        )

    def _told(self, subject: str, taken: Sequence[_Taken]) -> Delivery:
        """The answer, counted and logged."""
        outcome = min((item.outcome for item in taken), key=_GRAVEST.index)
        parked = tuple(item.parked for item in taken if item.parked is not None)
        study_id = next((item.study_id for item in taken if item.study_id is not None), None)
        self._metrics.dropfolder.deliveries.labels(self._inbox.route, outcome).inc()
        tell = log.warning if parked else log.info
        tell(
            "dropfolder.delivered",
            object_ref=self._pseudonyms.study_ref(subject),
            study_ref=self._pseudonyms.study_ref(study_id) if study_id else None,
            outcome=outcome,
            problems=[item.problem.type for item in parked] or None,
        )
        return Delivery(
            outcome=outcome,
            detail=_DETAILS[outcome],
            study=study_path(study_id) if study_id else None,
            parked=parked,
        )


@contextmanager
def _postponing() -> Iterator[None]:
    """Leave for the next sweep what cannot be done now."""
    try:
        yield
    except TRANSIENT as error:
        log.warning("dropfolder.postponed", **log_fields(error))


def _named(image: Dropped, document: bytes | None) -> str | None:
    """Return the study that an image is said to be of: by its folder, or by its sidecar."""
    if image.study_folder is not None or document is None:
        return image.study_folder
    with suppress(InvalidMetadataError):
        study_id = parse_document(document).get("study_id")
        if isinstance(study_id, str) and _STUDY_ID.fullmatch(study_id):
            return study_id
    return None


def _completed(image: Dropped, document: bytes | None) -> bytes | None:
    """The document; for a DICOM file in a study's folder with the study_id that the folder says.

    So it is the same study whether its sidecar came or not.
    """
    if image.study_folder is None or not image.may_stand_alone:
        return document
    fields = parse_document(document) if document is not None else {}
    return json.dumps({"study_id": image.study_folder} | fields).encode()


def _binding_key(image: Dropped) -> str:
    return f"{BINDINGS}{image.reference}.json"


def _study_reference(study_id: str) -> str:
    return hashlib.sha256(study_id.encode()).hexdigest()
