"""The metadata document of a study: the `metadata` part of a POST, or a sidecar."""

from __future__ import annotations

import datetime as dt
import re
from enum import StrEnum
from typing import Annotated, Any, TypeGuard

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)

from gateway.errors import Fault, InvalidMetadataError
from gateway.schemas.patterns import (
    AGE_STRING_PATTERN,
    CODE_STRING_PATTERN,
    MODALITY_PATTERN,
    STUDY_ID_PATTERN,
    VERSION_PATTERN,
)
from gateway.schemas.strict_json import parse_json
from gateway.schemas.validation_faults import faults_of
from preprocess.character_sets import has_control_characters

# RFC 3339, section 5.6: the zone is not optional, and a space may not stand for the T here.
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE
)

# RFC 3339's full-date, or PS3.5 section 6.2, VR DA: no time and no count of seconds beside them.
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})|([0-9]{4})([0-9]{2})([0-9]{2})")

# Ids of studies that are removed soon begin with it; docs/integrate.md reserves it.
PROBE_PREFIX = "radstream-probe-"
ACCEPTANCE_PREFIX = f"{PROBE_PREFIX}accept-"
_OF_ACCEPTANCE = re.compile(rf"{ACCEPTANCE_PREFIX}([0-9a-f]{{16}})-[0-9a-f]{{16}}")
_STUDY_ID = re.compile(STUDY_ID_PATTERN)


def is_study_id(value: object) -> TypeGuard[str]:
    """Return True if a value that may be anything is a study_id."""
    return isinstance(value, str) and _STUDY_ID.fullmatch(value) is not None


def acceptance_run(study_id: str) -> str | None:
    """Return the run of `radstream accept` that a study belongs to; None of any other study."""
    found = _OF_ACCEPTANCE.fullmatch(study_id)
    return None if found is None else found[1]


class View(StrEnum):
    """Position of the patient to the beam; DICOM's View Position (0018,5101) in five words."""

    PA = "PA"
    AP = "AP"
    LATERAL = "LATERAL"
    OBLIQUE = "OBLIQUE"
    OTHER = "OTHER"


class Laterality(StrEnum):
    """Laterality (0020,0060) and Image Laterality (0020,0062)."""

    RIGHT = "R"
    LEFT = "L"
    BOTH = "B"
    UNPAIRED = "U"


def _rfc_3339(value: Any) -> Any:
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with a zone, such as 2026-01-31T08:15:00Z")
    if value[17:19] == "60":
        raise ValueError("is a leap second, which is not taken: send second 59, or the next minute")
    return value.upper()


def document_date(text: str) -> str | None:
    """Return a date as RFC 3339 has it; None where the text is none of 20260131 and 2026-01-31."""
    found = _DATE.fullmatch(text)
    try:
        date = dt.date(*map(int, filter(None, found.groups()))) if found else None
    except ValueError:
        return None
    return None if date is None else date.isoformat()


def _study_date(value: Any) -> Any:
    date = document_date(value) if isinstance(value, str) else None
    if date is None:
        raise ValueError("must be a date such as 2026-01-31 or 20260131")
    return date


def _printable(value: str) -> str:
    if has_control_characters(value):
        raise ValueError("must have no control characters")
    return value


def _modality(value: str) -> str:
    return "DX" if value == "X-RAY" else value


_CodeString = StringConstraints(pattern=CODE_STRING_PATTERN)  # PS3.5 section 6.2, VR CS
# PS3.5 section 6.2, VR LO and longer SH
_Text = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_printable)]


class ImageSize(BaseModel):
    """The size the sender believes the image has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(gt=0, strict=True, description="Columns (0028,0011).")
    height: int = Field(gt=0, strict=True, description="Rows (0028,0010).")


class ModelReference(BaseModel):
    """A model asked for by name, past the routing by contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=128)
    version: str | None = Field(None, pattern=VERSION_PATTERN)

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name} version {self.version}"


def _model_reference(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class StudyMetadata(BaseModel):
    """Description of a study by its sender."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "study_id": "CXR-2026-000123",
                    "view": "AP",
                    "timestamp": "2026-01-31T08:15:00Z",
                    "modality": "DX",
                    "body_part": "CHEST",
                    "accession_number": "A4711",
                }
            ]
        },
    )

    study_id: str = Field(
        pattern=STUDY_ID_PATTERN,
        description="1 to 64 letters, digits, '.', '_' or '-', not beginning with a dot.",
    )
    view: View | None = Field(
        None,
        description="View Position (0018,5101), or OTHER; needed where the model's contract names "
        "views.",
    )
    timestamp: Annotated[AwareDatetime, BeforeValidator(_rfc_3339)] = Field(
        description="Time at which the study was made or sent: RFC 3339, with its zone."
    )
    patient_id: _Text | None = Field(None, description="Patient ID (0010,0020).")
    accession_number: _Text | None = Field(None, description="Accession Number (0008,0050).")
    study_date: Annotated[dt.date, BeforeValidator(_study_date)] | None = Field(
        None, description="Study Date (0008,0020): 2026-01-31 or 20260131."
    )
    modality: (
        Annotated[str, StringConstraints(pattern=MODALITY_PATTERN), AfterValidator(_modality)]
        | None
    ) = Field(
        None,
        description="Modality (0008,0060); X-RAY is read as DX, and other words as DICOM's terms.",
    )
    body_part: Annotated[str, _CodeString] | None = Field(
        None, description="Body Part Examined (0018,0015)."
    )
    laterality: Laterality | None = Field(None, description="Laterality (0020,0060).")
    patient_age: Annotated[str, StringConstraints(pattern=AGE_STRING_PATTERN)] | None = Field(
        None,
        description="Patient's Age (0010,1010): 034Y, 018M; a number is taken for years.",
    )
    image_size: ImageSize | None = Field(
        None, description="Checked against the pixels of every image sent with this document."
    )
    annotations: list[JsonValue] | None = Field(
        None, max_length=1000, description="Kept with the study as they are."
    )
    model: (
        Annotated[
            ModelReference,
            BeforeValidator(_model_reference, json_schema_input_type=str | ModelReference),
        ]
        | None
    ) = Field(
        None, description="A model's name, or {name, version}: reads the images past all routing."
    )

    def unknown_fields(self) -> tuple[str, ...]:
        """Return names in the document that the schema does not have."""
        return tuple(self.model_extra or ())


def parse_document(document: bytes | memoryview) -> dict[str, Any]:
    """Return the JSON object in a document, its fields not yet looked at.

    Parameters
    ----------
    document
        UTF-8 (RFC 8259, section 8.1), with or without a byte order mark.

    Raises
    ------
    InvalidMetadataError
        It is no JSON object, or one that could not be kept as it is.
    """
    value = parse_json(bytes(document))
    if not isinstance(value, dict):
        raise InvalidMetadataError((Fault("", "must be a JSON object"),))
    return value


def validate_document(document: dict[str, Any]) -> StudyMetadata:
    """Return the metadata that a parsed document holds.

    Raises
    ------
    InvalidMetadataError
        With every fault the document has, each with its JSON pointer.
    """
    try:
        return StudyMetadata.model_validate(document)
    except ValidationError as error:
        raise InvalidMetadataError(faults_of(error)) from error
