"""Renderings that withdraw what a destination has of a deleted study.

What it got under identities that turned out to be wrong, and was not told of, is among it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from gateway.renderings.corrections import fhir_transactions, oru_messages
from gateway.renderings.rejections import rejections
from gateway.renderings.revisions import with_patient, withdrawals
from gateway.results.view import study_result
from gateway.schemas.report_class import DEFAULT, ReportClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.renderings.fhir import IdentifierSystems, Release
    from gateway.results.withdrawn_study import WithdrawnStudy
    from gateway.schemas.hl7 import MessageForm
    from gateway.studies.imaging import Imaging


class WithdrawnResults:
    """Renders withdrawals, each the same whenever it is made.

    Parameters
    ----------
    imaging
        Has threads to render in.
    """

    def __init__(self, imaging: Imaging) -> None:
        self._imaging = imaging

    async def structured_reports(
        self,
        study: WithdrawnStudy,
        destination: str,
        report_class: ReportClass = DEFAULT,
    ) -> list[bytes]:
        """Return the reports without findings that succeed those of a destination, in order."""
        header = _header(study)
        if header is None:
            return []
        from gateway.renderings.structured_report import structured_report  # noqa: PLC0415 - slow

        record, uid = study.record, str(header.StudyInstanceUID)
        revisions = withdrawals(
            record, uid, destination, deletions=study.deletions, report_class=report_class
        )
        return [
            await self._imaging.run(
                partial(
                    structured_report,
                    record.readings,
                    _headers(header, revision.identity),
                    revision,
                )
            )
            for revision in revisions
        ]

    async def rejection_notes(self, study: WithdrawnStudy, destination: str) -> list[bytes]:
        """Return the notes that withdraw the objects of a destination, in order."""
        header = _header(study)
        if header is None:
            return []
        from gateway.renderings.rejection_note import rejection_note  # noqa: PLC0415 - slow

        found = rejections(
            study.record,
            str(header.StudyInstanceUID),
            study.captures,
            destination,
            deletions=study.deletions,
        )
        return [
            await self._imaging.run(
                partial(
                    rejection_note,
                    rejection,
                    _headers(header, rejection.identity)[""],
                    study.requested_at,
                )
            )
            for rejection in found
        ]

    def fhir_transactions(
        self, study: WithdrawnStudy, systems: IdentifierSystems, release: Release, destination: str
    ) -> list[tuple[str, bytes]]:
        """Return transactions by which all resources are entered in error."""
        record = study.record
        result = study_result(record, whole=True)
        return [*fhir_transactions(record, result, systems, release, destination, is_deleted=True)]

    def oru_messages(
        self, study: WithdrawnStudy, form: MessageForm, destination: str
    ) -> list[tuple[str, bytes]]:
        """Return messages by which all observations are deleted."""
        record = study.record
        return [
            *oru_messages(
                record,
                study_result(record, whole=True),
                _header(study),
                form,
                destination,
                deletions=study.deletions,
                is_deleted=True,
            )
        ]


def _header(study: WithdrawnStudy) -> Dataset | None:
    return None if study.header is None else Dataset.from_json(study.header)


def _headers(header: Dataset, identity: Mapping[str, str | None]) -> dict[str, Dataset]:
    return with_patient({"": header}, identity)
