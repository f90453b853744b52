"""Reports on the model versions in Triton's repository."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from gateway.schemas.contract import Contract


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
    contract_sha256: str | None = Field(
        None, description="SHA-256 of the contract: an acceptance holds for this one alone."
    )


class ModelList(BaseModel):
    """Every model version in Triton's repository."""

    model_config = ConfigDict(frozen=True)

    models: tuple[ModelReport, ...]
