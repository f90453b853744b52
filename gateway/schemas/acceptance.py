"""Acceptance page of a model version, as JSON: `radstream.acceptance/1`."""

from __future__ import annotations

from typing import Literal

from pydantic import (
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from gateway.errors import InvalidAcceptanceError
from gateway.schemas.patterns import DIGEST_PATTERN
from gateway.schemas.printable import PRINTABLE
from gateway.schemas.validation_faults import faults_of

ACCEPTANCE_SCHEMA = "radstream.acceptance/1"
_SHA256 = r"^[0-9a-f]{64}$"


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )


class Interval(_Part):
    """A figure with its interval at 95 %."""

    value: float
    low: float
    high: float


class OperatingPoint(_Part):
    """Verdicts at a threshold, held against the truth."""

    threshold: float
    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int
    sensitivity: Interval | None = None
    specificity: Interval | None = None
    positive_predictive_value: Interval | None = Field(
        None, description="At the share of positive studies of these data."
    )
    negative_predictive_value: Interval | None = None
    concordance: Interval | None = None


class Proposal(OperatingPoint):
    """A threshold that these data propose; to be proved on others."""

    aim: str = Field(description="Aim that it is the threshold for.")


class AtPrevalence(_Part):
    """Predictive values at a prevalence, from sensitivity and specificity."""

    prevalence: float
    positive_predictive_value: float | None = None
    negative_predictive_value: float | None = None


class CalibrationBin(_Part):
    """Studies of like probability."""

    studies: int
    probability: float = Field(description="Mean of the model's probabilities.")
    share: float = Field(description="Share of the studies that have the finding.")


class Subgroup(_Part):
    """Figures of the studies that share an attribute, at the contract's threshold."""

    attribute: Literal["sex", "age", "view", "device", "sender"]
    value: str
    studies: int
    positive: int
    is_enough: bool = Field(description="False under 20 studies: there are no figures then.")
    auc: Interval | None = None
    sensitivity: Interval | None = None
    specificity: Interval | None = None
    calibration_error: Interval | None = Field(
        None, description="Expected calibration error, ten bins."
    )


class KeyFigures(_Part):
    """Key figures of one label; no study is named."""

    label: str
    studies: int = Field(description="Number of studies with truth and verdict.")
    positive: int = Field(description="Number of those that have the finding.")
    is_enough: bool = Field(description="False under 20 studies.")
    auc: Interval | None = None
    operating_point: OperatingPoint


class LabelFigures(KeyFigures):
    """Figures of one label."""

    calibration_error: Interval | None = Field(
        None, description="Expected calibration error, ten bins."
    )
    brier: float | None = None
    calibration: tuple[CalibrationBin, ...] = ()
    roc: tuple[tuple[float, float], ...] = Field(
        (), description="1 - specificity and sensitivity, from the highest threshold down."
    )
    by_prevalence: tuple[AtPrevalence, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    missed: tuple[str, ...] = Field((), description="Studies with the finding, called negative.")
    overcalled: tuple[str, ...] = Field(
        (), description="Studies without the finding, called positive."
    )


class NotRead(_Part):
    """A study without a verdict."""

    study: str = Field(description="Name of the study in the site's list.")
    reason: str


class MeasuredVersion(_Part):
    """One model version, and what it made of the studies."""

    name: str
    version: str
    title: str
    contract_sha256: str = Field(pattern=_SHA256)
    model_sha256: str | None = Field(
        None, pattern=_SHA256, description="Of the files of the version, where they were given."
    )
    read: int = Field(description="Number of studies with a verdict.")
    labels: tuple[LabelFigures, ...]
    not_applicable: tuple[NotRead, ...] = ()
    failed: tuple[NotRead, ...] = ()


class Difference(_Part):
    """Difference of two versions on the studies that both read."""

    label: str
    studies: int
    auc: Interval | None = Field(
        None, description="AUC of the second less that of the first, resampled in pairs."
    )
    only_first_right: int = Field(description="Studies that the first alone calls rightly.")
    only_second_right: int


class AcceptancePage(_Part):
    """A site's own labelled studies, read by a model version on the way that serves."""

    schema_: Literal["radstream.acceptance/1"] = Field("radstream.acceptance/1", alias="schema")
    made_at: AwareDatetime
    gateway_version: str
    gateway_sha256: str | None = Field(
        None,
        pattern=_SHA256,
        description="Of the gateway's own files; absent on pages of earlier releases.",
    )
    studies: int = Field(description="Number of studies in the site's list.")
    data_sha256: str = Field(
        pattern=_SHA256, description="Of the names and the SHA-256 of all files of the studies."
    )
    labels_sha256: str = Field(pattern=_SHA256, description="Of the file of labels.")
    run: str | None = Field(
        None,
        pattern=DIGEST_PATTERN,
        description="Name by which the gateway has counted the readings of the run.",
    )
    versions: tuple[MeasuredVersion, ...] = Field(min_length=1, max_length=2)
    differences: tuple[Difference, ...] = ()

    @property
    def accepted(self) -> MeasuredVersion:
        """Return the version that the page is about; another is there to be compared with."""
        return self.versions[0]


class AcceptanceRequest(BaseModel):
    """A page that a person accepts, as it is sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    page: str = Field(description="Page as `radstream accept` wrote it, the JSON file's text.")
    signature: Base64Bytes | None = Field(
        None,
        description="Content of the page's `.sig`, in base64; needed where the gateway has a key.",
    )
    accepted_by: str = Field(
        min_length=1, max_length=64, pattern=PRINTABLE, description="Name of the person."
    )
    is_reference: bool = Field(
        False,
        description="True if the readings of the page's run become the reference that the "
        "version's drift is measured from, in the place of its first live readings.",
    )

    @field_validator("page")
    @classmethod
    def _is_a_page(cls, text: str) -> str:
        try:
            AcceptancePage.model_validate_json(text)
        except ValidationError as error:
            # Of its content nothing is repeated.
            raise ValueError("is no acceptance page of this version") from error
        return text

    def document(self) -> AcceptancePage:
        """Return the page."""
        return AcceptancePage.model_validate_json(self.page)


class AcceptanceReport(BaseModel):
    """An acceptance that was stored."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str
    contract_sha256: str = Field(description="Contract that it holds for.")
    accepted_by: str
    accepted_at: AwareDatetime
    is_signature_checked: bool = Field(description="True if the gateway has a key to check it by.")
    reference_readings: int | None = Field(
        None,
        description="Number of readings that are the version's reference from now on; absent where "
        "its reference stays as it was.",
    )


def parse_acceptance(body: bytes | bytearray) -> AcceptanceRequest:
    """Return the acceptance in a request's body.

    Raises
    ------
    InvalidAcceptanceError
        With every fault, each with its JSON pointer.
    """
    try:
        return AcceptanceRequest.model_validate_json(bytes(body))
    except ValidationError as error:
        raise InvalidAcceptanceError(faults_of(error)) from error
