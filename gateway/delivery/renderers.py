"""Renderings as destinations get them: each kind is made anew for each attempt, with equal bytes.

A kind of rendering is brought where there is a renderer for it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.delivery.dicom_objects import MEDIA_TYPE, parsed
from gateway.delivery.transport import Rendering
from gateway.errors import NoDicomContextError
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.renderings.fhir_transaction import report_identifiers
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing import FhirDestination, Hl7Destination

if TYPE_CHECKING:
    from gateway.renderings.reports import Reports
    from gateway.schemas.routing import Destination

_FHIR_MEDIA_TYPE, _HL7_MEDIA_TYPE = "application/fhir+json", "application/hl7-v2"
# Place of MSH-10 among what the separators divide; the first of them is MSH-1.
_CONTROL_ID = 9

Renderer = Callable[[str, "Destination"], Awaitable[Sequence[Rendering]]]
"""Returns the objects of a study for a destination; none where there is nothing to bring."""

Renderers = Mapping[RenderingKind, Renderer]


def renderers(reports: Reports) -> Renderers:
    """Return what makes each kind of rendering."""

    async def structured_report(study_id: str, destination: Destination) -> Sequence[Rendering]:
        del destination
        try:
            data = await reports.structured_report(study_id)
        except NoDicomContextError:  # its images are no instances of a patient's study
            return ()
        return (dicom_rendering(RenderingKind.STRUCTURED_REPORT, data),)

    async def fhir(study_id: str, destination: Destination) -> Sequence[Rendering]:
        if not isinstance(destination, FhirDestination):
            return ()
        systems = IdentifierSystems(destination.patient_system, destination.order_system)
        data = await reports.fhir(study_id, systems, Release[destination.release])
        _, told = report_identifiers(json.loads(data))
        return (Rendering(RenderingKind.FHIR, told, _FHIR_MEDIA_TYPE, data),)

    async def oru(study_id: str, destination: Destination) -> Sequence[Rendering]:
        if not isinstance(destination, Hl7Destination):
            return ()
        data = await reports.oru(study_id, destination.message)
        control_id = data.split(b"|", _CONTROL_ID + 1)[_CONTROL_ID].decode("ascii")
        return (Rendering(RenderingKind.ORU, control_id, _HL7_MEDIA_TYPE, data),)

    return {
        RenderingKind.STRUCTURED_REPORT: structured_report,
        RenderingKind.FHIR: fhir,
        RenderingKind.ORU: oru,
    }


def dicom_rendering(kind: RenderingKind, data: bytes) -> Rendering:
    """Return a DICOM file as a rendering."""
    return Rendering(kind, str(parsed(data).SOPInstanceUID), MEDIA_TYPE, data)
