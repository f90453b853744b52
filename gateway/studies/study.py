"""The one value that every way in makes, and the pipeline takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.access.callers import ANONYMOUS
from gateway.studies.dicom_instance import NO_UIDS, InstanceUids

if TYPE_CHECKING:
    import datetime as dt

    from gateway.results.study_documents import Seen
    from gateway.schemas.metadata import StudyMetadata
    from gateway.schemas.result import ResultWarning
    from gateway.studies.refused_images import RefusedImage


class Route(StrEnum):
    """Way in which a study came in."""

    REST = "rest"
    EVENT = "event"
    FOLDER = "folder"
    STOW = "stow"
    DIMSE = "dimse"


@dataclass(frozen=True, slots=True)
class StudyImage:
    """An image as it was sent.

    Parameters
    ----------
    part
        The sender's name for it: the name of the part, with its index.
    data
        The file's bytes.
    metadata
        Its own: the view, for one, may differ among the images of a study.
    notices
        Notices for the sender, though the image is taken.
    uids
        Of a DICOM file.
    expected_instances
        Number of the study's instances, where the file has it.
    unfit
        The reason why no model is made for it, as its file says; see `Described`.
    sha256, object
        Of its bytes, and the name of its object, where it was stored before it is processed.
    """

    part: str
    data: bytes | memoryview
    metadata: StudyMetadata
    notices: tuple[ResultWarning, ...] = ()
    uids: InstanceUids = NO_UIDS
    expected_instances: int | None = None
    unfit: str | None = None
    sha256: str | None = None
    object: str | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """Images sent together, with valid metadata that agree on the study and the patient.

    Parameters
    ----------
    images
        One or more.
    route, received_at
        The route and the time of arrival.
    validate_s
        Seconds that it took to find them valid.
    refused
        Those sent with them that cannot be processed.
    sent
        The name and the bytes of all parts, in order; only the images' if empty.
    caller
        Label of the caller that sent them; see `Caller.label`.
    dropped_as
        Reference of the drop folder's object that it was made of.
    seen
        Its document in the store, where that was read beside its bytes.
    submission
        Id of the submission that it was accepted as, if it was before it is processed.
    corrects
        True if the sender may correct the identity that is stored of it.
    asked_again
        Id of the work by which models are asked again for readings that they owe.
    """

    images: tuple[StudyImage, ...]
    route: Route
    received_at: dt.datetime
    validate_s: float = 0.0
    refused: tuple[RefusedImage, ...] = ()
    sent: tuple[tuple[str, bytes | memoryview], ...] = ()
    caller: str = ANONYMOUS.label
    dropped_as: str | None = None
    seen: Seen | None = None
    submission: str | None = None
    corrects: bool = False
    asked_again: str | None = None

    @property
    def expected_instances(self) -> int | None:
        """The largest number of instances of the study that an image of it tells of."""
        told = (image.expected_instances for image in self.images)
        return max((number for number in told if number is not None), default=None)

    @property
    def parts(self) -> dict[str, bytes | memoryview]:
        """The bytes of every image that was sent, by the name of its part, in order."""
        return dict(self.sent or ((image.part, image.data) for image in self.images))

    @property
    def metadata(self) -> StudyMetadata:
        """Return the metadata that hold for the whole study: its id, its patient, its order."""
        return self.images[0].metadata
