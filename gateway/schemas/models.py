"""Reports on the model versions in Triton's repository."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from gateway.schemas.acceptance import Difference, Interval, KeyFigures
from gateway.schemas.contract import Contract
from gateway.schemas.printable import PRINTABLE
from gateway.schemas.result import Mode


class SignatureState(StrEnum):
    """Signature of an acceptance page, held against the gateway's key."""

    VALID = "valid"
    INVALID = "invalid"
    UNCHECKED = "unchecked"  # the gateway has no key, or cannot read it
    NONE = "none"


class ModelPart(BaseModel):
    """A part that a rule gives to a model version."""

    model_config = ConfigDict(frozen=True)

    rule: str = Field(description="Name of the rule; `otherwise` where none applies.")
    version: str | None = Field(None, description="Version that it names; absent is the newest.")
    mode: Mode
    percent: float = Field(description="Share of the rule's studies.")
    is_rolled_back: bool = Field(
        False, description="True of a canary whose limits made its share 0."
    )


class ModelReport(BaseModel):
    """A model version, how it stands, and what it promises."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(examples=["cxr_pneumonia"])
    version: str = Field(examples=["1"])
    state: str = Field(
        description="ready; refused, where its contract or golden image does not hold; "
        "unavailable, where Triton does not serve it now."
    )
    reason: str | None = Field(None, description="The reason that it is not ready.")
    contract: Contract | None = None
    is_accepted: bool | None = Field(
        None,
        description="True if a person has accepted the version under this contract; absent where "
        "it is not known, since no acceptance is required.",
    )
    is_silent: bool = Field(
        False,
        description="True if a stop rule has silenced the version: its findings are withheld.",
    )
    contract_sha256: str | None = Field(
        None, description="SHA-256 of the contract: an acceptance holds for this one alone."
    )
    parts: tuple[ModelPart, ...] = Field(
        (), description="Parts that the rules of the routing document give to the version."
    )


_Printable = Annotated[str, StringConstraints(pattern=PRINTABLE)]


class HealthAct(BaseModel):
    """Person who changes a model version's health, and why."""

    model_config = ConfigDict(frozen=True)

    by: _Printable = Field(max_length=64, description="Name of the person who does it.")
    reason: _Printable = Field(max_length=200, description="Reason, in a sentence.")


class HealthChange(BaseModel):
    """Change of a model version's health by a person."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    by: str = Field(description="Name of the person.")
    cause: str | None = Field(
        None, description="Cause for which the version was silent; absent where it was not."
    )


class Program(BaseModel):
    """The gateway that answers."""

    model_config = ConfigDict(frozen=True)

    version: str = Field(description="Version of RadStream.", examples=["0.1.0"])
    sha256: str = Field(
        description="SHA-256 over the names and the SHA-256 of its own files: the same for each "
        "installation of one commit, another where a file was edited."
    )


class ModelList(BaseModel):
    """Every model version in Triton's repository, and the gateway that reads images by them."""

    model_config = ConfigDict(frozen=True)

    gateway: Program
    models: tuple[ModelReport, ...]


class AcceptedFigures(BaseModel):
    """Key figures of an acceptance page; no study is named."""

    model_config = ConfigDict(frozen=True)

    made_at: AwareDatetime = Field(description="Time at which the page was made.")
    studies: int = Field(description="Number of studies in the site's list.")
    read: int = Field(description="Number of studies with a verdict.")
    not_applicable: int
    failed: int
    labels: tuple[KeyFigures, ...]
    compared_with: str | None = Field(
        None, description="Name and version with which the page compares the accepted version."
    )
    differences: tuple[Difference, ...] = ()


class AcceptedVersion(BaseModel):
    """The acceptance of a model version, under the contract that it has now."""

    model_config = ConfigDict(frozen=True)

    accepted_by: str = Field(description="Name of the person.")
    accepted_at: AwareDatetime
    caller: str = Field(description="Name of the caller that brought it.")
    signature: SignatureState
    figures: AcceptedFigures | None = Field(
        None, description="Absent where another release wrote the page in another form."
    )


class ShadowAgreement(BaseModel):
    """Verdicts of a shadow model on a label beside those that are shown of the same images."""

    model_config = ConfigDict(frozen=True)

    shadow: str = Field(description="Name and version of the shadow model.")
    shown: str = Field(description="Name and version of the model whose readings are shown.")
    label: str
    pairs: int = Field(description="Number of findings on which both have a verdict.")
    both_positive: int
    only_shown: int = Field(
        description="Number that the model which is shown alone calls positive."
    )
    only_shadow: int
    both_negative: int
    not_applicable: int = Field(description="Number of findings on which one has no verdict.")
    kappa: Interval | None = Field(
        None, description="Cohen's kappa; absent where chance alone explains the verdicts."
    )


class ModelDetails(ModelReport):
    """A model version with its acceptance and its agreement with others."""

    acceptance: AcceptedVersion | None = None
    agreement: tuple[ShadowAgreement, ...] = Field(
        (), description="Counts of this gateway since its start, as shadow or beside one."
    )
