"""A model's contract: the `radstream` parameter of its config.pbtxt."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Base64Bytes, BaseModel, ConfigDict, Field, model_validator

from gateway.schemas.metadata import View
from gateway.schemas.result import Code
from gateway.vocabulary.terms import contract_word
from preprocess import Aspect, FullRange, InputSpec, Percentile, Resample, Window

PARAMETER = "radstream"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Activation(StrEnum):
    """Function that turns the output tensor into probabilities."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    IDENTITY = "identity"


class Outcome(StrEnum):
    """Outcome for a study that a model was not made for, or that does not tell."""

    ACCEPT = "accept"
    WARN = "warn"
    NOT_APPLICABLE = "not_applicable"
    REFUSE = "refuse"


OtherOutcome = Literal[Outcome.WARN, Outcome.NOT_APPLICABLE, Outcome.REFUSE]


def _modality(text: str) -> str:
    return contract_word("modality", text)


def _body_part(text: str) -> str:
    return contract_word("body part", text)


class Ages(_Part):
    """Ages of the patients that the model is made for."""

    from_: float = Field(0.0, ge=0, alias="from", description="Youngest age in years.")
    below: float | None = Field(
        None, gt=0, description="Age in years that is too old; null where none is."
    )
    unknown: Literal["warn", "not_applicable"] = Field(
        "warn",
        description="Outcome where the age is not known: a warning, or a result without verdict.",
    )

    @model_validator(mode="after")
    def _holds_an_age(self) -> Self:
        if self.below is not None and self.below <= self.from_:
            raise ValueError("'below' must be above 'from'")
        return self

    def __contains__(self, age_years: float) -> bool:
        """Return True of an age that the model is made for."""
        return self.from_ <= age_years and (self.below is None or age_years < self.below)

    def overlaps(self, other: Ages) -> bool:
        """Return True if there is an age that both have."""
        return (self.below is None or other.from_ < self.below) and (
            other.below is None or self.from_ < other.below
        )

    def __str__(self) -> str:
        """Return the range in words."""
        if self.below is None:
            return f"{self.from_:g} years and older"
        return f"{self.from_:g} to below {self.below:g} years"


class Pixels(_Part):
    """Least demands on a picture's pixels; the result has no verdict where one is not met."""

    least_rows: int = Field(1, ge=1, description="Rows as sent.")
    least_columns: int = Field(1, ge=1, description="Columns as sent.")
    least_contrast: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Distance of the 0.5th and the 99.5th percentile, as a share of the way from "
        "black to white.",
    )
    most_black: float = Field(1.0, ge=0, le=1, description="Share of the pixels that is black.")
    most_white: float = Field(1.0, ge=0, le=1, description="Share of the pixels that is white.")


class Accepts(_Part):
    """The studies the model is made for; an empty list takes all."""

    modalities: frozenset[Annotated[str, AfterValidator(_modality)]] = frozenset()
    body_parts: frozenset[Annotated[str, AfterValidator(_body_part)]] = frozenset()
    unknown_body_part: Outcome = Field(
        Outcome.ACCEPT, description="Outcome for a study without a body part."
    )
    other_body_part: OtherOutcome = Field(
        Outcome.REFUSE, description="Outcome for a study of another body part."
    )
    views: frozenset[View] = frozenset()
    unknown_view: Outcome = Field(Outcome.REFUSE, description="Outcome for one without a view.")
    other_view: OtherOutcome = Field(Outcome.REFUSE, description="Outcome for one in another view.")
    ages_years: Ages | None = Field(
        None, description="Ages it is made for; beyond them its result has no verdict."
    )
    pixels: Pixels | None = Field(None, description="Pictures it is made for, by their pixels.")

    def overlaps(self, other: Accepts) -> bool:
        """Return True if there are studies that both models are made for."""
        choices = (
            (self.modalities, other.modalities),
            (self.body_parts, other.body_parts),
            (self.views, other.views),
        )
        mine, theirs = self.ages_years, other.ages_years
        return all(not one or not two or one & two for one, two in choices) and (
            mine is None or theirs is None or mine.overlaps(theirs)
        )


class FullRangeRule(_Part):
    """The whole range of the stored bits."""

    rule: Literal["full_range"] = "full_range"

    def spec(self) -> FullRange:
        """Return the rule as `preprocess` takes it."""
        return FullRange()


class WindowRule(_Part):
    """A window, in fractions of the full range."""

    rule: Literal["window"]
    center: float
    width: float = Field(gt=0)

    def spec(self) -> Window:
        """Return the rule as `preprocess` takes it."""
        return Window(self.center, self.width)


class PercentileRule(_Part):
    """A window between two percentiles of the picture."""

    rule: Literal["percentile"]
    low: float = Field(ge=0, le=100)
    high: float = Field(ge=0, le=100)

    def spec(self) -> Percentile:
        """Return the rule as `preprocess` takes it."""
        return Percentile(self.low, self.high)


class InputContract(_Part):
    """The picture tensor the model takes: FP32, channels x rows x columns."""

    name: str = Field(description="Of the tensor.")
    rows: int
    columns: int
    channels: Literal[1, 3] = 1
    resample: Resample
    aspect: Aspect
    intensity: Annotated[
        FullRangeRule | WindowRule | PercentileRule, Field(discriminator="rule")
    ] = FullRangeRule()
    range: tuple[float, float] = Field(description="Values of black and of white in the tensor.")
    jpeg_reduction: Literal[1, 2, 4, 8] = Field(
        1, description="Reduction of a JPEG while it is decoded, at most; measure before use."
    )

    @model_validator(mode="after")
    def _fits_preprocess(self) -> Self:
        self.spec()
        return self

    def spec(self) -> InputSpec:
        """Return the input as `preprocess` takes it; ValueError where it makes no sense."""
        return InputSpec(
            rows=self.rows,
            columns=self.columns,
            channels=self.channels,
            resample=self.resample,
            aspect=self.aspect,
            intensity=self.intensity.spec(),
            output_range=self.range,
        )


class Label(_Part):
    """One entry of the output, and from where on it counts as found."""

    label: str = Field(min_length=1, max_length=64)
    threshold: float = Field(ge=0, le=1)
    code: Code | None = None


class ApplicabilityScore(_Part):
    """A score that the model gives of a picture: how much it is like those it was made for."""

    tensor: str = Field(description="Name of the tensor with one number.")
    threshold: float = Field(description="Score below which the result has no verdict.")


class OutputContract(_Part):
    """The tensors the model gives."""

    name: str = Field(description="Of the tensor with one number a label.")
    activation: Activation
    labels: tuple[Label, ...] = Field(min_length=1)
    activation_map: str | None = Field(
        None, description="Name of the tensor labels x rows x columns that explains each label."
    )

    activation_full: float | None = Field(
        None,
        gt=0,
        description="Evidence in a cell that the heat map draws in full colour; left out, each "
        "picture's strongest cell is.",
    )
    applicability: ApplicabilityScore | None = Field(
        None, description="Score of the picture itself, where the model gives one."
    )

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        if len({label.label for label in self.labels}) < len(self.labels):
            raise ValueError("two labels are the same")
        return self


class Golden(_Part):
    """An image with the probabilities it must give: proof that the contract tells the truth."""

    image: Base64Bytes = Field(description="A small JPEG or PNG, in base64.")
    probabilities: dict[str, float] = Field(description="By label; every label of the output.")
    tolerance: float = Field(0.01, gt=0, le=0.1)


class Contract(_Part):
    """Description of a model: all that the gateway needs to route, feed and read it."""

    schema_: Literal["radstream.model/1"] = Field(alias="schema")
    title: str
    summary: str = Field(description="Intended use, and uses it is not for, in words.")
    disclaimer: str | None = Field(
        "Not for clinical use.",
        description="Limit of its use, told with every result; null where it is cleared for use.",
    )
    priority: int = Field(0, description="The highest wins where several models accept a study.")
    accepts: Accepts = Accepts()
    input: InputContract
    output: OutputContract
    golden: Golden

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of the contract, in whatever order it was written."""
        document = self.model_dump(mode="json", by_alias=True)
        for name in ("modalities", "body_parts", "views"):
            document["accepts"][name].sort()
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @model_validator(mode="after")
    def _golden_covers_the_labels(self) -> Self:
        if set(self.golden.probabilities) != {label.label for label in self.output.labels}:
            raise ValueError("golden.probabilities must name every label, and no other")
        return self
