"""Words that all renderings have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.schemas.result import ModelVersion

NOT_REVIEWED = "Made by a machine. Not reviewed by a physician."


def model_name(model: ModelVersion) -> str:
    """Return the name of a model with its version."""
    return f"{model.name} {model.version}"
