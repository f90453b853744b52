"""Renderings that withdraw what destinations have of deleted studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.delivery.renderers import (
    FHIR_MEDIA_TYPE,
    HL7_MEDIA_TYPE,
    JSON_MEDIA_TYPE,
    class_for,
    dicom_rendering,
)
from gateway.delivery.transport import Rendering
from gateway.errors import DeliveryRefusedError
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.renderings.notice import deletion_notice
from gateway.results.keys import withdrawn_study
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_destinations import (
    DicomDestination,
    FhirDestination,
    Hl7Destination,
    StowDestination,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gateway.delivery.renderers import Renderer, Renderers
    from gateway.delivery.withdrawals import Withdrawals
    from gateway.renderings.withdrawn_results import WithdrawnResults
    from gateway.results.links import Links
    from gateway.results.withdrawn_study import WithdrawnStudy
    from gateway.schemas.routing_destinations import Destination


def with_withdrawals(
    renderers: Renderers, withdrawals: Withdrawals, results: WithdrawnResults, links: Links
) -> Renderers:
    """Return the renderers of studies, which for the name of a withdrawal make that.

    Parameters
    ----------
    links
        Make the paths that notices name.
    """
    made = _WithdrawalRenderings(withdrawals, results, links)
    withdrawing: Renderers = {
        RenderingKind.STRUCTURED_REPORT: made.structured_reports,
        RenderingKind.REJECTION_NOTE: made.rejection_notes,
        RenderingKind.FHIR: made.fhir,
        RenderingKind.ORU: made.oru,
        RenderingKind.NOTICE: made.notice,
    }
    return {  # Secondary Captures are withdrawn by the note
        kind: _either(renderer, withdrawing[kind]) if kind in withdrawing else renderer
        for kind, renderer in renderers.items()
    }


def _either(of_study: Renderer, of_withdrawal: Renderer) -> Renderer:
    def render(study_id: str, destination: Destination) -> AsyncGenerator[Rendering]:
        renderer = of_study if withdrawn_study(study_id) is None else of_withdrawal
        return renderer(study_id, destination)

    return render


class _WithdrawalRenderings:
    """Renderings of withdrawals, by their names."""

    def __init__(self, withdrawals: Withdrawals, results: WithdrawnResults, links: Links) -> None:
        self._withdrawals = withdrawals
        self._results = results
        self._links = links

    async def structured_reports(
        self, name: str, destination: Destination
    ) -> AsyncGenerator[Rendering]:
        study = await self._withdrawals.study(name)
        if study is not None and _takes(destination, RenderingKind.STRUCTURED_REPORT):
            _check_header(study)
            made = await self._results.structured_reports(
                study, destination.name, class_for(destination)
            )
            for data in made:
                yield dicom_rendering(RenderingKind.STRUCTURED_REPORT, data)

    async def rejection_notes(
        self, name: str, destination: Destination
    ) -> AsyncGenerator[Rendering]:
        study = await self._withdrawals.study(name)
        if study is not None and _takes(destination, RenderingKind.REJECTION_NOTE):
            _check_header(study)
            for data in await self._results.rejection_notes(study, destination.name):
                yield dicom_rendering(RenderingKind.REJECTION_NOTE, data)

    async def fhir(self, name: str, destination: Destination) -> AsyncGenerator[Rendering]:
        study = await self._withdrawals.study(name)
        if not isinstance(destination, FhirDestination) or study is None:
            return
        if await self._is_overtaken(name, destination, RenderingKind.FHIR):
            return
        systems = IdentifierSystems(destination.patient_system, destination.order_system)
        release = Release[destination.release]
        for uid, data in self._results.fhir_transactions(study, systems, release, destination.name):
            yield Rendering(RenderingKind.FHIR, uid, FHIR_MEDIA_TYPE, data)

    async def oru(self, name: str, destination: Destination) -> AsyncGenerator[Rendering]:
        study = await self._withdrawals.study(name)
        if not isinstance(destination, Hl7Destination) or study is None:
            return
        if await self._is_overtaken(name, destination, RenderingKind.ORU):
            return
        for uid, data in self._results.oru_messages(study, destination.message, destination.name):
            yield Rendering(RenderingKind.ORU, uid, HL7_MEDIA_TYPE, data)

    async def notice(self, name: str, destination: Destination) -> AsyncGenerator[Rendering]:
        study = await self._withdrawals.study(name)
        if study is None or await self._is_overtaken(name, destination, RenderingKind.NOTICE):
            return
        study_id, at = study.record.study_id, study.requested_at
        uid, data = deletion_notice(study_id, self._links, destination.name, at)
        yield Rendering(RenderingKind.NOTICE, uid, JSON_MEDIA_TYPE, data)

    async def _is_overtaken(self, name: str, destination: Destination, kind: RenderingKind) -> bool:
        """Return True if it would withdraw what the destination was told of the study since.

        Reports and orders have the same identifiers in it.
        """
        study_id = withdrawn_study(name) or name
        return await self._withdrawals.is_overtaken(study_id, destination.name, kind)


def _check_header(study: WithdrawnStudy) -> None:
    """Raise where an archive cannot be told, which has objects of the study all the same."""
    if study.header is None:
        raise DeliveryRefusedError(
            "no image of the deleted study had a readable header to withdraw its results by: the "
            "archive has to remove them"
        )


def _takes(destination: Destination, kind: RenderingKind) -> bool:
    is_archive = isinstance(destination, DicomDestination | StowDestination)
    return is_archive and kind in destination.renderings
