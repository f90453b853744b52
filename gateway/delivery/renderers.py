"""Renderings as destinations get them: each kind is made anew for each attempt, with equal bytes.

A kind of rendering is brought where there is a renderer for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from gateway.delivery.dicom_objects import MEDIA_TYPE, parsed
from gateway.delivery.transport import Rendering
from gateway.errors import NoDicomContextError
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.schemas.report_class import DEFAULT, ReportClass
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_destinations import (
    DicomDestination,
    FhirDestination,
    Hl7Destination,
    StowDestination,
)

if TYPE_CHECKING:
    from gateway.renderings.reports import Reports
    from gateway.results.links import Links
    from gateway.schemas.routing_destinations import Destination

FHIR_MEDIA_TYPE, HL7_MEDIA_TYPE = "application/fhir+json", "application/hl7-v2"
JSON_MEDIA_TYPE = "application/json"

Renderer = Callable[[str, "Destination"], AsyncGenerator[Rendering]]
"""Yields the objects of a study for a destination, each made once it is asked for."""

Renderers = Mapping[RenderingKind, Renderer]


def renderers(reports: Reports, links: Links) -> Renderers:
    """Return what makes each kind of rendering.

    Parameters
    ----------
    links
        Make the paths that notices name.
    """
    made = _StudyRenderings(reports, links)
    return {
        RenderingKind.STRUCTURED_REPORT: made.structured_report,
        RenderingKind.SECONDARY_CAPTURE: made.secondary_captures,
        RenderingKind.REJECTION_NOTE: made.rejection_notes,
        RenderingKind.FHIR: made.fhir,
        RenderingKind.ORU: made.oru,
        RenderingKind.NOTICE: made.notice,
    }


class _StudyRenderings:
    """Renderings of a study in its present state."""

    def __init__(self, reports: Reports, links: Links) -> None:
        self._reports = reports
        self._links = links

    async def structured_report(
        self, study_id: str, destination: Destination
    ) -> AsyncGenerator[Rendering]:
        try:
            made = await self._reports.structured_reports(
                study_id, destination.name, class_for(destination)
            )
        except NoDicomContextError:  # its images are no instances of a patient's study
            return
        for data in made:
            yield dicom_rendering(RenderingKind.STRUCTURED_REPORT, data)

    async def secondary_captures(
        self, study_id: str, destination: Destination
    ) -> AsyncGenerator[Rendering]:
        del destination
        with suppress(NoDicomContextError):
            async with aclosing(self._reports.secondary_captures(study_id)) as made:
                async for data in made:
                    yield dicom_rendering(RenderingKind.SECONDARY_CAPTURE, data)

    async def rejection_notes(
        self, study_id: str, destination: Destination
    ) -> AsyncGenerator[Rendering]:
        try:
            made = await self._reports.rejection_notes(
                study_id, destination.name, class_for(destination)
            )
        except NoDicomContextError:
            return
        for data in made:
            yield dicom_rendering(RenderingKind.REJECTION_NOTE, data)

    async def fhir(self, study_id: str, destination: Destination) -> AsyncGenerator[Rendering]:
        if not isinstance(destination, FhirDestination):
            return
        systems = IdentifierSystems(destination.patient_system, destination.order_system)
        release = Release[destination.release]
        made = await self._reports.fhir_transactions(study_id, systems, release, destination.name)
        for uid, data in made:
            yield Rendering(RenderingKind.FHIR, uid, FHIR_MEDIA_TYPE, data)

    async def oru(self, study_id: str, destination: Destination) -> AsyncGenerator[Rendering]:
        if not isinstance(destination, Hl7Destination):
            return
        made = await self._reports.oru_messages(study_id, destination.message, destination.name)
        for uid, data in made:
            yield Rendering(RenderingKind.ORU, uid, HL7_MEDIA_TYPE, data)

    async def notice(self, study_id: str, destination: Destination) -> AsyncGenerator[Rendering]:
        uid, data = await self._reports.notice(study_id, self._links, destination.name)
        yield Rendering(RenderingKind.NOTICE, uid, JSON_MEDIA_TYPE, data)


def dicom_rendering(kind: RenderingKind, data: bytes) -> Rendering:
    """Return a DICOM file as a rendering."""
    found = parsed(data)
    uid, sop_class_uid = str(found.SOPInstanceUID), str(found.SOPClassUID)
    return Rendering(kind, uid, MEDIA_TYPE, data, sop_class_uid=sop_class_uid)


def class_for(destination: Destination) -> ReportClass:
    """Return the class that a destination takes structured reports in."""
    if isinstance(destination, DicomDestination | StowDestination):
        return destination.report_class
    return DEFAULT
