"""A study's results as HL7 FHIR: a report, an observation for each finding, the model as a device.

The bundle is of R4 (4.0.1) or R5 (5.0.0); the few elements that differ are told apart here. All of
it is *preliminary*: a machine's, which no person has reviewed. The patient and the order are
referred to by their identifiers alone, since RadStream has no resource of either.

Not by a library's classes: the R4 elements used here are two dozen, and the classes of
fhir.resources validate R5, R4B and STU3. The tests hold the bundle to two validators.

References
----------
hl7.org/fhir/R4 and /R5: DiagnosticReport, Observation, ImagingStudy, Device. HL7's guide *DICOM SR
to FHIR Resource Mapping*: an observation is `partOf` its imaging study, which is identified by
`urn:dicom:uid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gateway.renderings.identifiers import derived_uid, derived_uuid
from gateway.renderings.words import NOT_REVIEWED, incompleteness, model_name, said_of
from gateway.vocabulary.statements import finding_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.schemas.result import (
        Finding,
        ImageResult,
        ModelDescription,
        ReadingResult,
        StudyResult,
    )

Resource = dict[str, Any]

URI = "urn:ietf:rfc:3986"
_UCUM = "http://unitsofmeasure.org"
ENTERED_IN_ERROR = "entered-in-error"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"


@dataclass(frozen=True, slots=True)
class IdentifierSystems:
    """Systems (URI) of the identifiers of patients and of orders, where they are known."""

    patient: str | None = None
    order: str | None = None


class Release(StrEnum):
    """Releases of FHIR, by the value of the media type's parameter `fhirVersion`."""

    R4 = "4.0"
    R5 = "5.0"


def fhir_bundle(
    study: StudyResult, identity: Mapping[str, str | None], release: Release = Release.R4
) -> Resource:
    """Return a study's results as a Bundle of type `collection`.

    Superseded images are left out. A study of which nothing was processed yet has a report that is
    *registered*, without results.

    Parameters
    ----------
    study
        The whole study, all images of it.
    identity
        Identifying attributes of the metadata: `patient_id` and `accession_number`.
    release
        The release of FHIR.
    """
    entries = [
        {"fullUrl": url_of(item), "resource": item}
        for item in StudyResources(study, identity, IdentifierSystems(), release).all()
    ]
    return bundle_of("collection", study, entries)


def bundle_of(kind: str, study: StudyResult, entries: list[Resource]) -> Resource:
    """Return a bundle of this type, made when the study was completed."""
    return {
        "resourceType": "Bundle",
        "type": kind,
        **({"timestamp": study.completed_at.isoformat()} if study.completed_at else {}),
        "entry": entries,
    }


class StudyResources:
    """The resources of a study, which share its patient and its order.

    Parameters
    ----------
    study, identity, systems, release
        The whole study; who it is about, in which systems; the release of FHIR.
    corrections
        Number of times that the identity was corrected.
    withdrawn
        True if the results hold no more.
    """

    def __init__(
        self,
        study: StudyResult,
        identity: Mapping[str, str | None],
        systems: IdentifierSystems,
        release: Release,
        corrections: int = 0,
        *,
        withdrawn: bool = False,
    ) -> None:
        self._study = study
        self._names = (study.study_id, *([f"identity {corrections}"] if corrections else []))
        self._release = release
        self._withdrawn = withdrawn
        patient, order = identity.get("patient_id"), identity.get("accession_number")
        self._subject = _by_identifier("Patient", "MR", patient, systems.patient)
        self._order = _by_identifier("ServiceRequest", "ACSN", order, systems.order)

    def all(self, *, superseded: bool = False) -> list[Resource]:
        """Return the report, the imaging study, the findings and their models.

        Parameters
        ----------
        superseded
            True to have the findings of superseded images too, as entered in error.
        """
        images = [image for image in self._study.images if image.superseded_by is None]
        observations = self._observations(images)
        report = self.report(images, [url_of(item) for item in observations])
        if superseded:
            old = [image for image in self._study.images if image.superseded_by is not None]
            observations += [
                item | {"status": ENTERED_IN_ERROR} for item in self._observations(old)
            ]
            images += old
        models = {_model_key(reading.model): reading.model for _, reading in _readings(images)}
        return [report, self.imaging_study(), *observations, *map(self.device, models.values())]

    def _observations(self, images: list[ImageResult]) -> list[Resource]:
        return [
            self.observation(image, reading, finding)
            for image, reading in _readings(images)
            for finding in reading.findings
        ]

    def _status(self) -> str:
        return ENTERED_IN_ERROR if self._withdrawn else "preliminary"

    def report(self, images: list[ImageResult], results: list[str]) -> Resource:
        """Return the study's report."""
        said = [
            f"{said_of(finding, reading.applicable)} Image {image.number}, by "
            f"{model_name(reading.model)}: {finding.probability:.3f}, threshold "
            f"{finding.threshold:g}."
            for image, reading in _readings(images)
            for finding in reading.findings
        ]
        conclusion = (NOT_REVIEWED, self._study.disclaimer, incompleteness(self._study), *said)
        completed_at = self._study.completed_at
        study_element = "imagingStudy" if self._release is Release.R4 else "study"
        return {
            **self._head("DiagnosticReport", "report"),
            **({"basedOn": [self._order]} if self._order else {}),
            "status": self._status() if results or self._withdrawn else "registered",
            "category": [_concept(f"{_TERMINOLOGY}/v2-0074", "RAD", "Radiology")],
            "code": _concept("http://loinc.org", "18748-4", "Diagnostic imaging study"),
            **self._about(),
            **({"issued": completed_at.isoformat()} if completed_at else {}),
            **({"result": [{"reference": url} for url in results]} if results else {}),
            study_element: [{"reference": self._imaging_url()}],
            "conclusion": " ".join(part for part in conclusion if part),
        }

    def imaging_study(self) -> Resource:
        """Return the imaging study, by its Study Instance UID where it has one."""
        study = self._head("ImagingStudy", "imaging")
        if self._study.study_instance_uid is not None:
            uid = f"urn:oid:{self._study.study_instance_uid}"
            study["identifier"].insert(0, {"system": "urn:dicom:uid", "value": uid})
        return {
            **study,
            "status": ENTERED_IN_ERROR if self._withdrawn else "available",
            # R4 and R5 demand a subject; one whose identifier nobody gave is known to be absent.
            "subject": self._subject or {"display": "Patient without an identifier"},
            **({"basedOn": [self._order]} if self._order else {}),
        }

    def observation(self, image: ImageResult, reading: ReadingResult, finding: Finding) -> Resource:
        """Return a finding."""
        code: Resource = {"text": f"Probability of {finding_name(finding.label)}"}
        if finding.code is not None:
            code["coding"] = [finding.code.model_dump(mode="json")]
        notes = [NOT_REVIEWED, f"Image {image.number}, SHA-256 {image.sha256}."]
        if image.sop_instance_uid is not None:
            notes.append(f"SOP Instance UID {image.sop_instance_uid}.")
        frame = str(image.frame or 1)
        return {
            **self._head(
                *("Observation", image.sha256, frame),
                *(reading.model.name, reading.model.version, finding.label),
            ),
            **({"basedOn": [self._order]} if self._order else {}),
            "partOf": [{"reference": self._imaging_url()}],
            "status": self._status(),
            "category": [_concept(f"{_TERMINOLOGY}/observation-category", "imaging", "Imaging")],
            "code": code,
            **self._about(),
            "effectiveDateTime": image.received_at.isoformat(),
            "issued": reading.completed_at.isoformat(),
            "valueQuantity": _quantity(finding.probability),
            **_interpretation(finding),
            "note": [
                {"text": said_of(finding, reading.applicable)},
                {"text": " ".join(notes)},
            ],
            "method": {"text": "Probability by a machine-learning model"},
            "device": {"reference": self._device_url(reading.model)},
            "component": [
                {
                    "code": {"text": "Threshold of a positive finding"},
                    "valueQuantity": _quantity(finding.threshold),
                }
            ],
        }

    def device(self, model: ModelDescription) -> Resource:
        """Return a model version."""
        title = model.title or model.name
        names: Resource = {"deviceName": [{"name": title, "type": "model-name"}]}
        kind: Any = {"text": "Machine-learning model"}
        if self._release is Release.R5:
            names = {"name": [{"value": title, "type": "registered-name", "display": True}]}
            kind = [kind]
        return {
            **self._head("Device", model.name, model.version, of_study=False),
            **names,
            "modelNumber": model.name,
            "type": kind,
            "version": [{"value": model.version}],
            **({"note": [{"text": model.intended_use}]} if model.intended_use else {}),
        }

    def _about(self) -> Resource:
        return {"subject": self._subject} if self._subject else {}

    def _imaging_url(self) -> str:
        return f"urn:uuid:{derived_uuid('ImagingStudy', *self._names, 'imaging')}"

    def _device_url(self, model: ModelDescription) -> str:
        return f"urn:uuid:{derived_uuid('Device', model.name, model.version)}"

    def _head(self, resource_type: str, *parts: str, of_study: bool = True) -> Resource:
        names = (*self._names, *parts) if of_study else parts
        return {
            "resourceType": resource_type,
            "id": str(derived_uuid(resource_type, *names)),
            "identifier": [identifier(f"urn:oid:{derived_uid(resource_type, *names)}")],
        }


def _readings(images: list[ImageResult]) -> Iterator[tuple[ImageResult, ReadingResult]]:
    return ((image, reading) for image in images for reading in image.readings)


def _model_key(model: ModelDescription) -> tuple[str, str]:
    return model.name, model.version


def _interpretation(finding: Finding) -> Resource:
    if finding.positive is None:
        return {}
    code, display = ("POS", "Positive") if finding.positive else ("NEG", "Negative")
    return {
        "interpretation": [_concept(f"{_TERMINOLOGY}/v3-ObservationInterpretation", code, display)]
    }


def identifier(uri: str) -> Resource:
    """Return an identifier that is unique by itself."""
    return {"system": URI, "value": uri}


def _by_identifier(
    resource_type: str, kind: str, value: str | None, system: str | None
) -> Resource | None:
    """Return a logical reference (R4, 2.3.0.2); None without a value."""
    if value is None:
        return None
    named = {"system": system} if system else {}
    identifier = {"type": _concept(f"{_TERMINOLOGY}/v2-0203", kind), **named, "value": value}
    return {"type": resource_type, "identifier": identifier}


def _concept(system: str, code: str, display: str | None = None) -> Resource:
    coding = {"system": system, "code": code} | ({"display": display} if display else {})
    return {"coding": [coding]}


def _quantity(value: float) -> Resource:
    return {"value": value, "system": _UCUM, "code": "1"}


def url_of(resource: Resource) -> str:
    """Return the name of a resource in its bundle."""
    return f"urn:uuid:{resource['id']}"
