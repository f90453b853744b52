"""Canary by study: of a share of the studies another version reads the images.

The arm follows from the study_id alone: all images of a study, repeats and late ones, go to one arm
on every gateway. A larger share adds studies to the canary and takes none from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.schemas.result import Mode

if TYPE_CHECKING:
    from collections.abc import Collection

    from gateway.schemas.routing_rules import RuleModel

_BUCKETS = 2**64


@dataclass(frozen=True, slots=True)
class Arm:
    """A model that a rule asks for, and the part that it plays.

    Parameters
    ----------
    name, version
        Of the model; the newest version if None.
    mode
        Its part.
    """

    name: str
    version: str | None
    mode: Mode

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name} version {self.version}"


def arm_of(model: RuleModel, study_id: str, rolled_back: Collection[str] = ()) -> Arm:
    """Return the model that reads a study's images: the rule's own, or its canary.

    A shadow model reads those of all studies.

    Parameters
    ----------
    rolled_back
        See `canary_key`; such a canary reads none.
    """
    if model.mode == "shadow":
        return Arm(model.name, model.version, Mode.SHADOW)
    canary = model.canary
    if canary is None or canary_key(model) in rolled_back:
        return Arm(model.name, model.version, Mode.LIVE)
    if _place(model.name, study_id) * 100 < canary.percent:
        return Arm(canary.name or model.name, canary.version, Mode.CANARY)
    return Arm(model.name, model.version, Mode.LIVE)


def canary_key(model: RuleModel) -> str:
    """Return the key of a canary: another one after any edit of its model's entry."""
    form = model.model_dump_json(by_alias=True, exclude_unset=True)
    return hashlib.sha256(form.encode()).hexdigest()[:32]


def _place(name: str, study_id: str) -> float:
    """Return a study's place, from 0 to less than 1; another one for each model."""
    digest = hashlib.sha256(f"{name}/{study_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _BUCKETS
