"""Renderings as destinations get them: each kind is made anew for each attempt, with equal bytes.

A kind of rendering is brought where there is a renderer for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.delivery.dicom_objects import MEDIA_TYPE, parsed
from gateway.delivery.transport import Rendering
from gateway.errors import NoDicomContextError
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing import FhirDestination, Hl7Destination

if TYPE_CHECKING:
    from gateway.renderings.reports import Reports
    from gateway.schemas.routing import Destination

_FHIR_MEDIA_TYPE, _HL7_MEDIA_TYPE = "application/fhir+json", "application/hl7-v2"

Renderer = Callable[[str, "Destination"], Awaitable[Sequence[Rendering]]]
"""Returns the objects of a study for a destination; none where there is nothing to bring."""

Renderers = Mapping[RenderingKind, Renderer]


def renderers(reports: Reports) -> Renderers:
    """Return what makes each kind of rendering."""

    async def structured_report(study_id: str, destination: Destination) -> Sequence[Rendering]:
        try:
            made = await reports.structured_reports(study_id, destination.name)
        except NoDicomContextError:  # its images are no instances of a patient's study
            return ()
        return [dicom_rendering(RenderingKind.STRUCTURED_REPORT, data) for data in made]

    async def secondary_captures(study_id: str, destination: Destination) -> Sequence[Rendering]:
        del destination
        kind = RenderingKind.SECONDARY_CAPTURE
        try:
            made = reports.secondary_captures(study_id)
            return [dicom_rendering(kind, data) async for data in made]
        except NoDicomContextError:
            return ()

    async def fhir(study_id: str, destination: Destination) -> Sequence[Rendering]:
        if not isinstance(destination, FhirDestination):
            return ()
        systems = IdentifierSystems(destination.patient_system, destination.order_system)
        made = await reports.fhir_transactions(
            study_id, systems, Release[destination.release], destination.name
        )
        return [Rendering(RenderingKind.FHIR, uid, _FHIR_MEDIA_TYPE, data) for uid, data in made]

    async def oru(study_id: str, destination: Destination) -> Sequence[Rendering]:
        if not isinstance(destination, Hl7Destination):
            return ()
        made = await reports.oru_messages(study_id, destination.message, destination.name)
        return [Rendering(RenderingKind.ORU, uid, _HL7_MEDIA_TYPE, data) for uid, data in made]

    return {
        RenderingKind.STRUCTURED_REPORT: structured_report,
        RenderingKind.SECONDARY_CAPTURE: secondary_captures,
        RenderingKind.FHIR: fhir,
        RenderingKind.ORU: oru,
    }


def dicom_rendering(kind: RenderingKind, data: bytes) -> Rendering:
    """Return a DICOM file as a rendering."""
    return Rendering(kind, str(parsed(data).SOPInstanceUID), MEDIA_TYPE, data)
