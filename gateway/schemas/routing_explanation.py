"""Explanation of what the rules of the routing document say of an image."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from gateway.schemas.routing_rules import Lane


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class ConditionExplanation(_Wire):
    """A condition, and whether it holds."""

    condition: str = Field(description="Field, operator and operand; or `all`, `any`, `not`.")
    holds: bool
    values: tuple[str | int | float | bool, ...] | None = Field(
        None, description="Values that the field has; empty where it has none."
    )
    parts: tuple[ConditionExplanation, ...] | None = Field(
        None, description="Conditions within it."
    )


class RuleExplanation(_Wire):
    """A rule, and whether it applies."""

    name: str
    built_in: bool
    keeps_out: bool
    applies: bool
    when: ConditionExplanation


class RoutedModel(_Wire):
    """A model that reads the image by the rules."""

    name: str
    version: str | None = Field(None, description="Version; the newest if absent.")
    mode: str


class ImageRouting(_Wire):
    """Consequences of the rules for an image, with the reasons."""

    sha256: str | None = Field(None, description="SHA-256 of the image's bytes, in hexadecimal.")
    document: str = Field(description="Digest of the routing document in force.")
    outcome: str = Field(
        description="`contracts` without rules; `rules`, `otherwise`, `no_rule` or `kept_out`."
    )
    models: tuple[RoutedModel, ...] = Field(
        description="Models that read it where their contracts take it, those of `mode` shadow "
        "last; no others where the contracts decide."
    )
    destinations: tuple[str, ...]
    lane: Lane = Field(description="Lane in which its study waits.")
    rules: tuple[RuleExplanation, ...]
