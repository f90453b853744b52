"""Images of a request on their way to the models: read before, or made ready to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.results.image_writes import NewImage
from gateway.results.joins import Request as ResultRequest
from gateway.runtime.concurrency import together
from gateway.studies.preparation import PreparedImage
from gateway.studies.readings import FreshImage, MissedReading, check_size
from gateway.studies.refused_images import IMAGE_ERRORS, RefusedImage

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from gateway.results.documents import FrameReading, MissingReading, Reading
    from gateway.results.store import Known, ResultStore
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.not_processed import NotProcessedDocument
    from gateway.studies.imaging import Imaging
    from gateway.studies.model_choice import ChosenModels, Target
    from gateway.studies.preparation import PreparedFrame
    from gateway.studies.refused_images import ImageError, PartError
    from gateway.studies.study import Study, StudyImage


@dataclass(frozen=True, slots=True)
class TakenImage:
    """An image that one model at the least can read, or has read.

    Parameters
    ----------
    chosen
        The image, and the models that are to read it.
    sha256
        Of its bytes.
    readings
        Those that are stored.
    fresh
        The image as further models take it.
    missed
        Readings that cannot be had now.
    """

    chosen: ChosenModels
    sha256: str
    readings: tuple[Reading, ...] = ()
    fresh: tuple[FreshImage, ...] = ()
    missed: tuple[MissedReading, ...] = ()

    @property
    def part(self) -> str:
        """The sender's name for it."""
        return self.chosen.image.part


class ImageIntake:
    """The preparation of images for their models, as far as these have not read them.

    Parameters
    ----------
    imaging
        Decodes them.
    results
        Has the readings of before.
    """

    def __init__(self, imaging: Imaging, results: ResultStore) -> None:
        self._imaging = imaging
        self._results = results

    async def take(
        self, chosen: Sequence[ChosenModels], known: Known, deadline: Deadline, *, is_drawn: bool
    ) -> tuple[list[TakenImage], list[RefusedImage]]:
        """Return the images in their order, and those that no model can read.

        Parameters
        ----------
        is_drawn
            True if a picture is drawn of each image once it is read.

        Raises
        ------
        ImagesTooLargeError
            They are too large together.
        StudyBeingDeletedError
        """
        if len(chosen) > 1:
            await self._imaging.check_together([each.image for each in chosen])
        outcomes = await together(
            self._take(each, known, deadline, is_drawn=is_drawn) for each in chosen
        )
        taken: list[TakenImage] = []
        refused: list[RefusedImage] = []
        for each, outcome in zip(chosen, outcomes, strict=True):
            if isinstance(outcome, TakenImage):
                taken.append(outcome)
            else:
                refused.append(refusal(each.image, outcome))
        return taken, refused

    async def _take(
        self, chosen: ChosenModels, known: Known, deadline: Deadline, *, is_drawn: bool
    ) -> TakenImage | ImageError:
        targets = chosen.targets
        before = [known.read_by(target.model.reference) for target in targets]
        try:
            sha256, prepared = await self._prepare(chosen, targets, before, deadline, is_drawn)
            readings: list[Reading] = []
            unread: list[Target] = []
            outcomes: list[tuple[Target, PreparedImage | ImageError]] = []
            for target, outcome in zip(targets, prepared, strict=True):
                if outcome is not None:
                    outcomes.append((target, outcome))
                    continue
                stored = await self._stored(chosen, known, sha256, target)
                readings += [stored] if stored is not None else []
                unread += [target] if stored is None else []
            if unread:
                _, again = await self._prepare(
                    chosen, unread, [()] * len(unread), deadline, is_drawn
                )
                outcomes += [
                    (target, each)
                    for target, each in zip(unread, again, strict=True)
                    if each is not None
                ]
            return _taken(chosen, sha256, readings, outcomes)
        except IMAGE_ERRORS as error:
            return error  # the other images may have faults to report as well

    async def _prepare(
        self,
        chosen: ChosenModels,
        targets: Sequence[Target],
        before: Sequence[Container[str]],
        deadline: Deadline,
        is_drawn: bool,
    ) -> tuple[str, list[PreparedImage | ImageError | None]]:
        models = [target.model for target in targets]
        return await self._imaging.prepare(
            chosen.image, models, deadline, read_before=before, is_drawn=is_drawn
        )

    async def _stored(
        self, chosen: ChosenModels, known: Known, sha256: str, target: Target
    ) -> Reading | None:
        study_id, reference = chosen.image.metadata.study_id, target.model.reference
        stored = await self._results.reading(study_id, known, sha256, reference)
        if stored is not None:
            check_size(chosen.image, stored.frames)
        return stored


def _taken(
    chosen: ChosenModels,
    sha256: str,
    readings: Sequence[Reading],
    outcomes: Sequence[tuple[Target, PreparedImage | ImageError]],
) -> TakenImage:
    """Return the image; it is refused where no model can read it.

    Raises
    ------
    RadStreamError
        One of `IMAGE_ERRORS`.
    """
    fresh: list[FreshImage] = []
    missed: list[MissedReading] = []
    for target, outcome in outcomes:
        if isinstance(outcome, PreparedImage):
            check_size(chosen.image, outcome.frames)
            fresh.append(
                FreshImage(
                    *(chosen.image, sha256, target.model, outcome, target.mode),
                    silent=target.silent,
                )
            )
        else:
            missed.append(MissedReading.of(sha256, target.model, target.mode, outcome))
    if missed and not fresh and not readings:
        raise missed[0].error
    absent = (
        MissedReading(sha256, each.model.name, each.model.version, each.mode, each.error)
        for each in chosen.absent
    )
    return TakenImage(chosen, sha256, tuple(readings), tuple(fresh), (*missed, *absent))


def new_images(taken: Sequence[TakenImage]) -> list[NewImage]:
    """Return the images that a model has yet to read, each once, where it was sent first."""
    first: dict[str, FreshImage] = {}
    for item in (item for each in taken for item in each.fresh):
        first.setdefault(item.sha256, item)
    return [
        NewImage(item.sha256, item.prepared.media_type, item.image.data, item.image.object)
        for item in first.values()
    ]


def sizes(taken: Sequence[TakenImage]) -> Iterator[tuple[int, int]]:
    """Yield rows and columns of every frame."""
    for each in taken:
        frames: Sequence[PreparedFrame] | Sequence[FrameReading]
        frames = each.fresh[0].prepared.frames if each.fresh else each.readings[0].frames
        for frame in frames:
            yield frame.rows, frame.columns


def refusal(image: StudyImage, error: PartError) -> RefusedImage:
    """Return an image whose metadata are valid, with the reason that it is refused."""
    return RefusedImage(image.part, error, image.metadata.view, image.uids.sop_instance_uid)


def request_of(
    study: Study,
    taken: Sequence[TakenImage],
    fresh: Sequence[Reading],
    owed: Sequence[MissingReading],
    entries: Sequence[NotProcessedDocument],
) -> ResultRequest:
    """Return the request as it is to be stored."""
    first = {item.sha256: item for item in reversed(fresh)}
    first |= {each.sha256: each.readings[0] for each in taken if each.readings}
    return ResultRequest(
        study.metadata,
        study.received_at,
        fresh=fresh,
        processed={each.part: first[each.sha256] for each in taken},
        others=[reading for each in taken for reading in each.readings],
        missing=owed,
        entries=entries,
        alone=len(study.parts) == 1,
        submission=study.submission,
        asked_again=study.asked_again,
        corrects=study.corrects,
    )
