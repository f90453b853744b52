"""DICOM data sets in the words of the metadata document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.schemas.result import ResultWarning
from gateway.studies.dicom_instance import NO_UIDS, InstanceUids
from gateway.studies.metadata.patient_age import age_statement
from gateway.studies.metadata.projection import ON_ITS_SIDE, UPSIDE_DOWN, snomed_value
from gateway.studies.metadata.statements import Statement, disagreement
from gateway.studies.metadata.study_time import study_date, study_moment
from gateway.studies.metadata.view import view_evidence, view_statement
from gateway.vocabulary.body_parts import (
    body_part_coded,
    body_part_named,
    body_parts_among,
    differ,
)
from gateway.vocabulary.terms import (
    GENERIC_RADIOGRAPHY,
    identifier,
    laterality_named,
    modality_named,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from gateway.studies.metadata.projection import Evidence
    from gateway.studies.refused_images import ImageError
    from preprocess import DicomMetadata


# Attributes as a PACS administrator knows them.
_STUDY_INSTANCE_UID = "Study Instance UID (0020,000D)"
_PATIENT_ID = "Patient ID (0010,0020)"
_ACCESSION_NUMBER = "Accession Number (0008,0050)"
_STUDY_DATE = "Study Date (0008,0020)"
_MODALITY = "Modality (0008,0060)"
_BODY_PART = "Body Part Examined (0018,0015)"
_REGION = "Anatomic Region Sequence (0008,2218)"
_IMAGE_LATERALITY = "Image Laterality (0020,0062)"
_LATERALITY = "Laterality (0020,0060)"

# PS3.3 C.8.11.1: what the detector gave, which no radiologist would be shown as it is.
_FOR_PROCESSING = (
    "is FOR PROCESSING: its findings may mean nothing; send the image FOR PRESENTATION"
)
_PROCESSING_SOP_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.1.1.1": "Digital X-Ray",
    "1.2.840.10008.5.1.4.1.1.1.2.1": "Digital Mammography X-Ray",
    "1.2.840.10008.5.1.4.1.1.1.3.1": "Digital Intra-Oral X-Ray",
}
_QUALITY_CONTROL = (
    "Quality Control Image (0028,0300) says that a phantom or test object is in the picture"
)
# Clauses on models, which are made for radiographs of patients as a viewer is to show them.
_PHANTOM = "was made for no picture of a phantom or test object"
_ATTITUDES = {
    ON_ITS_SIDE: "was made for no picture that lies on its side",
    UPSIDE_DOWN: "was made for no picture that is upside down",
}
_BURNED_IN = (
    "Burned In Annotation (0028,0301) is YES: text in the picture may name the patient, and the "
    "model sees it"
)
_DERIVED = (
    "Image Type (0008,0008) is DERIVED: the pixels were made of other pixels, and findings may "
    "differ from those in the original"
)
_NO_PREAMBLE = "the file has no DICOM preamble (PS3.10 section 7.1); it was read without"
_UNDECODABLE = (
    "holds characters that its Specific Character Set (0008,0005) does not have, or control "
    "characters: mend it, or send the field in the metadata document"
)


@dataclass(frozen=True, slots=True)
class Described:
    """A data set in the words of the metadata document.

    Parameters
    ----------
    statements
        By field, what the data set states of it.
    notices
        Notices for the sender about the picture.
    uids
        Its UIDs, the same wherever it is sent.
    expected_instances
        Number of the study's instances, where it says so.
    unfit
        The reason why no model is made for its picture, as the end of a sentence about a model.
    error
        The reason that it has no picture to process, where its header tells one.
    """

    statements: Mapping[str, Statement]
    notices: tuple[ResultWarning, ...] = ()
    uids: InstanceUids = NO_UIDS
    expected_instances: int | None = None
    unfit: str | None = None
    error: ImageError | None = None

    @property
    def document(self) -> dict[str, str]:
        """The fields that the data set settles, in the document's own form."""
        return {
            name: statement.value
            for name, statement in self.statements.items()
            if statement.value is not None
        }


def describe(part: str, header: DicomMetadata, received_at: dt.datetime) -> Described:
    """Return what the data set states of each field of the metadata document.

    Parameters
    ----------
    part
        The sender's name for the file, for the notices.
    header
        Of the file.
    received_at
        Stands for the study's time where the data set has no date.
    """
    evidence = view_evidence(header)
    moment, assumed = study_moment(header, received_at)
    statements = {
        "study_id": _study_id(part, header),
        "view": view_statement(part, evidence),
        "timestamp": Statement(part, moment.isoformat(), assumed=assumed),
        "patient_id": _identity(part, header, "PatientID", _PATIENT_ID, header.patient_id),
        "accession_number": _identity(
            part, header, "AccessionNumber", _ACCESSION_NUMBER, header.accession_number
        ),
        "study_date": _study_date(part, header),
        "modality": _modality(part, header),
        "body_part": _body_part(part, header),
        "laterality": _laterality(part, header),
        "patient_age": age_statement(part, header),
    }
    details = _remarks_on_picture(header)
    for attribute, found in evidence.items():
        details += [f"{attribute} {remark}" for remark in found.remarks]
    return Described(
        statements,
        tuple(ResultWarning(pointer=part, detail=detail) for detail in details),
        InstanceUids.of_data_set(header),
        header.number_of_study_related_instances,
        _unfit(header, evidence),
    )


def _remarks_on_picture(header: DicomMetadata) -> list[str]:
    details = []
    if not header.has_preamble:
        details.append(_NO_PREAMBLE)
    if (header.presentation_intent_type or "").upper() == "FOR PROCESSING":
        details.append(f"Presentation Intent Type (0008,0068) {_FOR_PROCESSING}")
    elif header.sop_class_uid in _PROCESSING_SOP_CLASSES:
        name = _PROCESSING_SOP_CLASSES[header.sop_class_uid]
        details.append(f"the SOP class {name} Image Storage {_FOR_PROCESSING}")
    if _has_phantom(header):
        details.append(_QUALITY_CONTROL)
    if (header.burned_in_annotation or "").upper() == "YES":
        details.append(_BURNED_IN)
    if header.image_type and header.image_type[0].upper() == "DERIVED":
        details.append(_DERIVED)
    return details


def _has_phantom(header: DicomMetadata) -> bool:
    return (header.quality_control_image or "").upper() in ("YES", "BOTH")


def _unfit(header: DicomMetadata, evidence: Mapping[str, Evidence]) -> str | None:
    if _has_phantom(header):
        return _PHANTOM
    remarks = (remark for found in evidence.values() for remark in found.remarks)
    return next((_ATTITUDES[remark] for remark in remarks if remark in _ATTITUDES), None)


def _study_id(part: str, header: DicomMetadata) -> Statement:
    return Statement(part, header.study_instance_uid)  # a study may well be known by another id


def _identity(
    part: str, header: DicomMetadata, keyword: str, attribute: str, text: str | None
) -> Statement:
    """Return an identifier; one that cannot be decoded must not be taken for another's."""
    if keyword in header.unreadable:
        return Statement(
            part,
            missing=f"{attribute} of {part} {_UNDECODABLE}",
            settled=f"{attribute} cannot be read as text: the metadata document's is used",
        )
    value = identifier(text or "")
    if value is None:
        return Statement(part)
    return Statement(part, value, {attribute: frozenset((value,))})


def _study_date(part: str, header: DicomMetadata) -> Statement:
    date = study_date(header.study_date)
    if date is None:
        return _unintelligible(part, _STUDY_DATE, header, "StudyDate", header.study_date)
    return Statement(part, date.isoformat(), {_STUDY_DATE: frozenset((date.isoformat(),))})


def _modality(part: str, header: DicomMetadata) -> Statement:
    named = modality_named(header.modality or "")
    if named is None:
        return _unintelligible(part, _MODALITY, header, "Modality", header.modality)
    if named == GENERIC_RADIOGRAPHY:
        return Statement(part, "DX", {_MODALITY: frozenset(("DX", "CR"))})
    return Statement(part, named, {_MODALITY: frozenset((named,))})


def _laterality(part: str, header: DicomMetadata) -> Statement:
    """Return Image Laterality, or the series' Laterality in its place."""
    doubts: tuple[str, ...] = ()
    sides: dict[str, str] = {}
    for attribute, keyword, text in (
        (_IMAGE_LATERALITY, "ImageLaterality", header.image_laterality),
        (_LATERALITY, "Laterality", header.laterality),
    ):
        named = laterality_named(text or "")
        if named is not None:
            sides[attribute] = named
        else:
            doubts += _unintelligible(part, attribute, header, keyword, text).assumed
    if not sides:
        return Statement(part, assumed=doubts)
    attribute, side = next(iter(sides.items()))
    if len(set(sides.values())) > 1:
        doubts += (f"{_LATERALITY} contradicts {_IMAGE_LATERALITY}, which is used",)
    return Statement(part, side, {attribute: frozenset((side,))}, assumed=doubts)


def _unintelligible(
    part: str, attribute: str, header: DicomMetadata, keyword: str, text: str | None
) -> Statement:
    """Return an optional attribute that is absent, or dropped since it cannot be understood."""
    if text is None and keyword not in header.unreadable:
        return Statement(part)
    return Statement(part, assumed=(f"{attribute} is not understood and left out",))


def _body_part(part: str, header: DicomMetadata) -> Statement:
    """Return Body Part Examined, and Anatomic Region Sequence beside it or in its place."""
    words, doubts = _body_part_words(part, header)
    named = frozenset(words)
    regions, more_doubts = _regions(header)
    doubts += more_doubts
    if not words:
        region = next(iter(regions)) if len(regions) == 1 else None
        return Statement(part, region, {_REGION: regions} if regions else {}, assumed=doubts)
    agreed = [
        word for word in words if not regions or not all(differ(word, term) for term in regions)
    ]
    if not agreed:
        allowed = {_BODY_PART: named, _REGION: regions}
        return disagreement(part, allowed, regions | named, doubts)
    return Statement(part, agreed[0], {_BODY_PART: regions | named}, assumed=doubts)


def _body_part_words(part: str, header: DicomMetadata) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the terms of Body Part Examined, the first of which counts, and their doubts."""
    text = header.body_part_examined or ""
    named = body_part_named(text)
    if named is not None:
        return (named,), ()
    among = body_parts_among(text)
    if among:
        return among, (f"{_BODY_PART} is understood in part",)
    unintelligible = _unintelligible(
        part, _BODY_PART, header, "BodyPartExamined", header.body_part_examined
    )
    return (), unintelligible.assumed


def _regions(header: DicomMetadata) -> tuple[frozenset[str], tuple[str, ...]]:
    values = (snomed_value(code) for code in header.anatomic_regions)
    terms = frozenset(
        term for value in values if value is not None and (term := body_part_coded(value))
    )
    present = header.anatomic_regions or "AnatomicRegionSequence" in header.unreadable
    doubts = () if terms or not present else (f"{_REGION} is not understood and left out",)
    return terms, doubts
