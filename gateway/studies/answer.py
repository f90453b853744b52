"""Answer to the sender of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.results.sender_view import processed_view

if TYPE_CHECKING:
    from gateway.results.documents import Reading, StudyRecord
    from gateway.results.settled_work import SettledWork
    from gateway.schemas.not_processed import NotProcessed
    from gateway.schemas.result import StudyResult
    from gateway.studies.readings import MissedReading
    from preprocess import Frame


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a study for its sender, and the readings behind it.

    Parameters
    ----------
    result
        The study's current view: at the least the images sent.
    replayed
        True if nothing new joined the study: every image sent had been read before.
    readings
        The stored readings of the images that had not.
    not_processed
        The images sent that could not be.
    record
        All that is known of the study.
    missed
        The readings of the images sent that models owe.
    sent
        The stored readings of all images sent.
    decoded
        Frames of a dropped image that had not been processed, as far as they were kept.
    settled
        Parked work of the study that it made needless.
    """

    result: StudyResult
    replayed: bool
    record: StudyRecord
    readings: tuple[Reading, ...] = ()
    not_processed: tuple[NotProcessed, ...] = ()
    missed: tuple[MissedReading, ...] = ()
    sent: tuple[Reading, ...] = ()
    decoded: tuple[Frame, ...] = ()
    settled: tuple[SettledWork, ...] = ()

    @property
    def is_partial(self) -> bool:
        """True if not all that was to be read was read and is shown."""
        return bool(self.not_processed or self.missed) or any(each.silent for each in self.sent)

    @property
    def own_result(self) -> StudyResult:
        """Return what a sender is told who may not read the study: of the images sent alone."""
        images = {item.sha256 for item in self.sent}
        images |= {item.sha256 for item in self.not_processed}
        return processed_view(self.record, self.sent, images)

    @property
    def outcome(self) -> str:
        """Return the word for it in logs and metrics."""
        if self.is_partial:
            return "partial"
        return "replayed" if self.replayed else "completed"

    @property
    def models(self) -> set[str]:
        """Return the names of the models that read its images."""
        return {item.model.name for image in self.result.images for item in image.readings}
