"""Images that failed for good, which later requests of their study may bring again.

A failed submission ends once each of its images was processed after all: the same bytes, as when
the metadata were mended, or a DICOM file of the same SOP Instance UID, as when it was exported
again. Other pictures under another name may be of anything: an operator discards those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.observability.pseudonyms import key_reference
from gateway.results.documents import FailedImage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from gateway.results.documents import FailedImages, Reading, StudyRecord
    from gateway.work.documents import SubmittedPart

_DIGITS = 16


def failed_images(parts: Sequence[SubmittedPart]) -> tuple[FailedImage, ...]:
    """Return the images of a submission; none where one of them would not be known again."""
    images = tuple(
        FailedImage(
            hash=None if part.sha256 is None else part.sha256[:_DIGITS],
            instance=None if part.sop_instance_uid is None else _instance(part.sop_instance_uid),
        )
        for part in parts
    )
    return () if FailedImage() in images else images


def still_failed(record: StudyRecord, processed: Collection[Reading]) -> tuple[FailedImages, ...]:
    """Return the failed submissions that a request has not ended.

    Parameters
    ----------
    record
        Of the study before it.
    processed
        Readings of the images of the request.
    """
    if not record.failed:
        return ()
    ever = [*processed, *record.readings]

    def is_over(sent: Sequence[FailedImage]) -> bool:
        """Return True if the request brought the last of these images."""
        return any(_came(each, processed) for each in sent) and all(
            _came(each, ever) for each in sent
        )

    return tuple(item for item in record.failed if not is_over(item.sent))


def _came(image: FailedImage, readings: Iterable[Reading]) -> bool:
    """Return True if an image was read, or another export of its instance."""
    return any(
        reading.sha256[:_DIGITS] == image.hash
        or (reading.sop_instance_uid and _instance(reading.sop_instance_uid) == image.instance)
        for reading in readings
    )


def _instance(sop_instance_uid: str) -> str:
    return key_reference(sop_instance_uid)[:_DIGITS]
