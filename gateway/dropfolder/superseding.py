"""Images whose name in the drop folder has come to hold other bytes.

Both readings stay. What stands under the name now is asked of the drop folder itself, after the
reading is stored and again after that was noted: so the end is the same for any order in which
versions are delivered, and for any gateway that is the last to look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import GATEWAY, name_study
from gateway.dropfolder.objects import SHARE
from gateway.errors import ObjectNotFoundError, ObjectNotReadableError, ObjectTooLargeError
from gateway.results.view import superseded as superseded_among
from gateway.schemas.audit import AuditAction

if TYPE_CHECKING:
    from gateway.admission.admission import Admission
    from gateway.audit.trail import Audit
    from gateway.dropfolder.objects import Dropped, Inbox
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.results.documents import StudyRecord
    from gateway.results.store import ResultStore
    from gateway.studies.answer import Answer
    from gateway.studies.imaging import Imaging

log = structlog.get_logger()


class Superseding:
    """Notes which of a name's readings stands.

    Parameters
    ----------
    inbox, imaging
        Tell the bytes that lie under the name now.
    results
        Keeps the studies.
    admission
        Makes room for the bytes.
    audit, pseudonyms
        Have each change on record, and in the log.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        imaging: Imaging,
        results: ResultStore,
        admission: Admission,
        audit: Audit,
        pseudonyms: Pseudonyms,
    ) -> None:
        self._inbox = inbox
        self._imaging = imaging
        self._results = results
        self._admission = admission
        self._audit = audit
        self._pseudonyms = pseudonyms

    async def settle(self, image: Dropped, sha256: str, answer: Answer) -> None:
        """Note what stands under an image's name, if more than one content was read under it.

        Parameters
        ----------
        image, sha256
            The image that was processed just now.
        answer
            Its result.
        """
        record = answer.record
        if not await self._is_contested(record, image.reference, sha256):
            return
        study_id = record.study_id
        noted = await self._note(image, record, None if answer.replayed else sha256)
        if noted is not None:
            async with self._audit.of_work(
                "drop folder: supersede image", GATEWAY, AuditAction.UPDATE
            ):
                name_study(study_id)
            readings = await self._results.akin(noted, image.reference, sha256)
            superseded = len(superseded_among(readings, noted.standing))
            if superseded:  # and not the same bytes under one more name
                log.warning(
                    "dropfolder.superseded",
                    study_ref=self._pseudonyms.study_ref(study_id),
                    object_ref=self._pseudonyms.study_ref(image.stem),
                    images=superseded,
                )

    async def _is_contested(self, record: StudyRecord, name: str, sha256: str) -> bool:
        """Return True if other bytes were read under the name, or these under another one."""
        akin = await self._results.akin(record, name, sha256)
        own = [item.dropped_as for item in akin if item.sha256 == sha256]
        if any(item.dropped_as == name for item in akin if item.sha256 != sha256):
            return True
        if name in record.standing:
            return record.standing[name] != sha256
        return bool(own) and name not in own

    async def _note(
        self, image: Dropped, record: StudyRecord, fresh: str | None
    ) -> StudyRecord | None:
        """Return the record as it is where anything new was noted.

        Parameters
        ----------
        fresh
            SHA-256 of bytes that were read for the first time just now: they stand where the file
            is gone already.
        """
        noted = None
        while True:
            stands = await self._standing(image, fresh)
            if stands is None or not await self._results.has_image(record, stands):
                return noted  # bytes that were not read replace nothing
            now = await self._results.note_standing(record.study_id, image.reference, stands)
            if now is None:
                return noted
            noted = now  # and the file may have been replaced meanwhile

    async def _standing(self, image: Dropped, fresh: str | None) -> str | None:
        """Return the SHA-256 of what lies under the image's name now."""
        try:
            with self._admission.slot(SHARE) as slot:
                found = await self._inbox.image(image, None, reserve=slot.wait_for_bytes)
                return await self._imaging.sha256(found.data)
        except ObjectNotFoundError:
            return fresh
        except (ObjectTooLargeError, ObjectNotReadableError):
            return None
