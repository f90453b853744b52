"""Images of submissions in the store, each written once: where its readings will name it.

A file that no model can read has no such place, and lies with the work until that is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import ObjectNotFoundError
from gateway.results.keys import media_type_of, new_image_name, submitted_key
from gateway.results.pages import may_have_image, read_pages
from gateway.runtime.concurrency import together
from gateway.studies.imaging import CheckedImage
from gateway.work.documents import SubmittedPart

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gateway.results.documents import Reading
    from gateway.results.study_documents import StudyDocuments
    from gateway.storage.protocol import ObjectStore
    from gateway.studies.refused_images import ImageError
    from gateway.work.documents import Submission
    from gateway.work.keys import WorkId


def submitted_parts(
    sent: Iterable[str],
    checked: Mapping[str, CheckedImage | ImageError],
    uids: Mapping[str, str | None],
) -> tuple[SubmittedPart, ...]:
    """Return the parts of a submission, with names that nothing in the store has.

    Parameters
    ----------
    sent
        Names of all its parts.
    checked
        Those that may be read, by part; bytes that came twice get one name.
    uids
        SOP Instance UIDs of those that are DICOM, by part.
    """
    images: dict[str, SubmittedPart] = {}
    parts: list[SubmittedPart] = []
    for index, part in enumerate(sent, 1):
        found = checked.get(part)
        if not isinstance(found, CheckedImage):
            lies = SubmittedPart(
                part=part, object=f"image-{index}", sop_instance_uid=uids.get(part)
            )
            parts.append(lies)
            continue
        name = new_image_name(found.media_type)
        first = images.setdefault(
            found.sha256,
            SubmittedPart(
                part=part, object=name, sha256=found.sha256, sop_instance_uid=uids.get(part)
            ),
        )
        parts.append(first.model_copy(update={"part": part}))
    return tuple(parts)


class SubmittedImages:
    """Images of all submissions on one store.

    Parameters
    ----------
    objects, documents
        The store, and the studies on it.
    """

    def __init__(self, objects: ObjectStore, documents: StudyDocuments) -> None:
        self._objects = objects
        self._documents = documents

    async def write(
        self, work: WorkId, submission: Submission, sent: Mapping[str, bytes | memoryview]
    ) -> None:
        """Write the parts that were sent."""
        parts = {submitted_key(work, part): part for part in submission.parts}
        await together(
            self._objects.replace(key, sent[part.part], media_type=media_type_of(part.object))
            for key, part in parts.items()
        )

    async def read(self, work: WorkId, part: SubmittedPart) -> bytes:
        """Return the bytes of a part.

        Raises
        ------
        ObjectNotFoundError
            The work is done.
        """
        return await self._objects.read(submitted_key(work, part))

    async def withdraw(self, work: WorkId, submission: Submission) -> None:
        """Remove the parts of a submission that was not promised: no reading can name them."""
        await self._purge({submitted_key(work, part) for part in submission.parts})

    async def remove(self, work: WorkId, document: Submission) -> None:
        """Remove the parts of a submission that is over, but for images that readings name.

        What this process remembers of the study is enough where it has them all: readings stay.
        """
        left = [part for part in document.parts if part.sha256 is not None]
        seen = self._documents.remembered(work.study_id)
        if seen is not None and seen.record is not None:
            left = _unnamed(left, seen.record.readings)
        if left:
            left = _unnamed(left, await self._readings(work.study_id, left))
        lost = [*left, *(part for part in document.parts if part.sha256 is None)]
        await self._purge({submitted_key(work, part) for part in lost})

    async def _readings(self, study_id: str, parts: Sequence[SubmittedPart]) -> list[Reading]:
        """Return the readings that may name images: none of a study that is or was deleted."""
        record = (await self._documents.read(study_id)).record
        if record is None:
            return []
        hashes = {part.sha256 for part in parts}
        pages = [
            page
            for page in record.pages
            if any(may_have_image(page, sha256) for sha256 in hashes if sha256)
        ]
        try:
            return [*await read_pages(self._objects, study_id, pages), *record.readings]
        except ObjectNotFoundError:  # it is being deleted, with all its images
            return []

    async def _purge(self, keys: Iterable[str]) -> None:
        await together(self._objects.purge(key) for key in keys)


def _unnamed(parts: Sequence[SubmittedPart], readings: Iterable[Reading]) -> list[SubmittedPart]:
    named = {(reading.sha256, reading.object) for reading in readings}
    return [part for part in parts if (part.sha256, part.object) not in named]
