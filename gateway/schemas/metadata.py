"""The metadata document of a study: the `metadata` part of a POST, or a sidecar."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

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

if TYPE_CHECKING:
    from collections.abc import Iterator

# RFC 3339, section 5.6: the zone is not optional, and a space may not stand for the T here.
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE
)

# RFC 3339's full-date, or PS3.5 section 6.2, VR DA: no time and no count of seconds beside them.
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})|([0-9]{4})([0-9]{2})([0-9]{2})")

# pydantic writes 255 levels and reads 200; what is kept of a document lies a few levels down.
_LEVELS = 64

# Who a message of pydantic's is about; here the pointer says it.
_SUBJECT = re.compile(r"^(Input|String|List|Value|Dictionary) (?=should )")

STUDY_ID_PATTERN = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"


class View(StrEnum):
    """How the patient stood to the beam; DICOM's View Position (0018,5101) in five words."""

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
    return value.upper()


def _study_date(value: Any) -> Any:
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a date such as 2026-01-31 or 20260131")
    return "-".join(filter(None, found.groups()))


def _modality(value: str) -> str:
    return "DX" if value == "X-RAY" else value


_CodeString = StringConstraints(pattern=r"^[A-Z0-9_ ]{1,16}$")  # PS3.5 section 6.2, VR CS
_Text = StringConstraints(min_length=1, max_length=64)  # PS3.5 section 6.2, VR LO and longer SH


class ImageSize(BaseModel):
    """The size the sender believes the image has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(gt=0, strict=True, description="Columns (0028,0011).")
    height: int = Field(gt=0, strict=True, description="Rows (0028,0010).")


class ModelReference(BaseModel):
    """A model asked for by name, past the routing by contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=128)
    version: str | None = Field(None, pattern=r"^[0-9]{1,18}$")

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name} version {self.version}"


def _model_reference(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class StudyMetadata(BaseModel):
    """What the sender says of a study."""

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
    view: View = Field(description="View Position (0018,5101), or OTHER.")
    timestamp: Annotated[AwareDatetime, BeforeValidator(_rfc_3339)] = Field(
        description="When the study was made or sent: RFC 3339, with its zone."
    )
    patient_id: Annotated[str, _Text] | None = Field(None, description="Patient ID (0010,0020).")
    accession_number: Annotated[str, _Text] | None = Field(
        None, description="Accession Number (0008,0050)."
    )
    study_date: Annotated[dt.date, BeforeValidator(_study_date)] | None = Field(
        None, description="Study Date (0008,0020): 2026-01-31 or 20260131."
    )
    modality: (
        Annotated[
            str, StringConstraints(pattern=r"^(X-RAY|[A-Z]{2,16})$"), AfterValidator(_modality)
        ]
        | None
    ) = Field(None, description="Modality (0008,0060); X-RAY is read as DX.")
    body_part: Annotated[str, _CodeString] | None = Field(
        None, description="Body Part Examined (0018,0015)."
    )
    laterality: Laterality | None = Field(None, description="Laterality (0020,0060).")
    image_size: ImageSize | None = Field(
        None, description="Checked against the pixels of every image sent with this document."
    )
    annotations: list[JsonValue] | None = Field(
        None, max_length=1000, description="Kept with the study as they are."
    )
    model: Annotated[ModelReference, BeforeValidator(_model_reference)] | None = Field(
        None, description="A model's name, or {name, version}: reads the images past all routing."
    )

    def unknown_fields(self) -> tuple[str, ...]:
        """Names in the document that the schema does not have."""
        return tuple(self.model_extra or ())


def parse_document(document: bytes | memoryview) -> dict[str, Any]:
    """The JSON object in a document, its fields not yet looked at.

    Parameters
    ----------
    document
        UTF-8 (RFC 8259, section 8.1), with or without a byte order mark.

    Raises
    ------
    InvalidMetadataError
        It is no JSON object, or one that could not be kept as it is.
    """
    value = _parse_json(bytes(document))
    if not isinstance(value, dict):
        _refuse("", "must be a JSON object")
    return value


def validate_document(document: dict[str, Any]) -> StudyMetadata:
    """The metadata that a parsed document holds.

    Raises
    ------
    InvalidMetadataError
        With every fault the document has, each with its JSON pointer.
    """
    try:
        return StudyMetadata.model_validate(document)
    except ValidationError as error:
        raise InvalidMetadataError(
            tuple(Fault(_pointer(item["loc"]), _sentence(item)) for item in error.errors())
        ) from error


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its names stood there more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: tuple[str, ...] = ()
        if len(self) < len(pairs):
            counts = Counter(name for name, _ in pairs)
            self.repeated = tuple(name for name, count in counts.items() if count > 1)


def _parse_json(document: bytes) -> Any:
    try:
        value = json.loads(
            document.decode("utf-8-sig"),
            object_pairs_hook=_Object,
            parse_constant=lambda name: _refuse("", f"{name} is not JSON (RFC 8259, section 6)"),
        )
    except UnicodeDecodeError as error:
        _refuse("", f"must be UTF-8: byte {error.start} is not", error)
    except RecursionError as error:
        _refuse("", f"is nested deeper than {_LEVELS} levels", error)
    except json.JSONDecodeError as error:
        _refuse("", f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", error)
    except ValueError as error:  # CPython reads no integer of more than 4300 digits
        _refuse("", "holds a number out of range", error)
    if faults := tuple(_unkeepable(value, ())):
        raise InvalidMetadataError(faults)
    return value


def _unkeepable(value: Any, location: tuple[int | str, ...]) -> Iterator[Fault]:
    """What JSON's grammar allows, but what has two meanings or could never be written again."""
    if isinstance(value, str):
        if not _is_text(value):
            yield Fault(_pointer(location), "must not hold unpaired surrogates")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield Fault(_pointer(location), "is a number out of range")
    elif isinstance(value, (list, _Object)):
        if len(location) >= _LEVELS:
            yield Fault(_pointer(location), f"is nested deeper than {_LEVELS} levels")
            return
        items: Any = enumerate(value)
        if isinstance(value, _Object):
            names = list(filter(_is_text, value))
            if len(names) < len(value):
                yield Fault(_pointer(location), "has a name that holds unpaired surrogates")
            for name in filter(_is_text, value.repeated):
                yield Fault(_pointer((*location, name)), "stands twice in one object")
            items = ((name, value[name]) for name in names)
        for step, item in items:
            yield from _unkeepable(item, (*location, step))


def _is_text(value: str) -> bool:
    """Whether UTF-8 can hold it: JSON's escapes can make unpaired surrogates, which it cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(pointer: str, detail: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidMetadataError((Fault(pointer, detail),)) from cause


def _pointer(location: tuple[int | str, ...]) -> str:
    """The JSON pointer (RFC 6901) of a pydantic location."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)


def _sentence(item: Any) -> str:
    match item["type"]:
        case "missing":
            return "is required"
        case "value_error":
            return str(item["ctx"]["error"])
        case "extra_forbidden":
            return "is not a field of this object"
        case "string_pattern_mismatch" if item["loc"] == ("study_id",):
            return "must be 1 to 64 letters, digits, '.', '_' or '-', not beginning with a dot"
        case _:
            return _SUBJECT.sub("", str(item["msg"])).replace("should ", "must ")
