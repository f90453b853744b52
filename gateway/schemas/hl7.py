"""The parts of an HL7 v2 message that differ from site to site."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from gateway.schemas.patterns import NAME_PATTERN

_Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=199)]


class Charset(StrEnum):
    """Character sets by their code in MSH-18 (table 0211), each a superset of ASCII.

    Those of several bytes a character other than UTF-8 are left out: their second bytes may be
    the delimiters.
    """

    ASCII = "ASCII"
    LATIN_1 = "8859/1"
    LATIN_2 = "8859/2"
    LATIN_3 = "8859/3"
    LATIN_4 = "8859/4"
    CYRILLIC = "8859/5"
    ARABIC = "8859/6"
    GREEK = "8859/7"
    HEBREW = "8859/8"
    LATIN_5 = "8859/9"
    LATIN_9 = "8859/15"
    UTF_8 = "UNICODE UTF-8"

    @property
    def codec(self) -> str:
        """Name of Python's codec."""
        return {Charset.ASCII: "ascii", Charset.UTF_8: "utf-8"}.get(self, f"iso{self}")


class Observation(StrEnum):
    """Observations (OBX) that a message has of each finding."""

    VERDICT = "verdict"
    PROBABILITY = "probability"
    THRESHOLD = "threshold"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Designator(_Part):
    """Name of an application, a facility or an authority (data type HD)."""

    namespace: _Name | None = Field(None, description="Namespace ID.")
    universal_id: _Name | None = Field(None, description="Universal ID, such as an OID.")
    universal_id_type: Literal["DNS", "GUID", "ISO", "URI", "UUID"] | None = Field(
        None, description="Type of the universal ID; ISO for an OID."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Designator:
        if (self.universal_id is None) != (self.universal_id_type is None):
            raise ValueError("universal_id and universal_id_type belong together")
        if self.namespace is None and self.universal_id is None:
            raise ValueError("namespace or universal_id is needed")
        return self


class Service(_Part):
    """Service that a message reports on (OBR-4)."""

    code: _Name
    display: _Name
    system: _Name = Field(description="Code system by its code in table 0396, such as LN or SCT.")


class MessageForm(_Part):
    """Form of the messages to one receiver."""

    sending_application: Designator = Field(Designator(namespace="RADSTREAM"), description="MSH-3.")
    sending_facility: Designator | None = Field(None, description="MSH-4.")
    receiving_application: Designator | None = Field(None, description="MSH-5.")
    receiving_facility: Designator | None = Field(None, description="MSH-6.")
    processing_id: Literal["P", "T", "D"] = Field(
        "P", description="MSH-11: production, training or debugging."
    )
    charset: Charset = Field(
        Charset.UTF_8,
        description="MSH-18. A character that it lacks is sent as the escape \\X..\\ of its bytes "
        "in UTF-8.",
    )
    patient_authority: Designator | None = Field(
        None, description="Assigning authority of the Patient ID (PID-3.4)."
    )
    order_authority: Designator | None = Field(
        None, description="Assigning authority of the Accession Number (OBR-3)."
    )
    service: Service = Field(
        Service(code="18748-4", display="Diagnostic imaging study", system="LN"),
        description="Service reported on (OBR-4).",
    )
    observations: tuple[Observation, ...] = Field(
        tuple(Observation), min_length=1, description="Observations (OBX) of each finding."
    )
