"""Rules of the routing document: those that apply to an image, and what follows of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from gateway.routing.canary import arm_of
from gateway.routing.conditions import holds, keywords
from gateway.schemas.result import Mode
from gateway.schemas.routing_rules import Lane, Otherwise, Rule, RuleCompletion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from gateway.routing.canary import Arm
    from gateway.routing.conditions import Facts
    from gateway.schemas.routing_rules import RoutingRules

# PS3.6, Annex A: Secondary Capture Image Storage, and its multi-frame kinds.
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_MAKER = "RadStream"  # as its reports and pictures have it

OWN_RESULTS = Rule.model_validate(
    {
        "name": "own-results",
        "keeps_out": True,
        "when": {
            "all": [
                {"field": "dicom.Manufacturer", "equals": _MAKER},
                {"field": "dicom.ManufacturerModelName", "equals": _MAKER},
            ]
        },
    }
)
"""The built-in rule that cannot be turned off: what RadStream made, it never processes."""

BUILT_IN = (
    OWN_RESULTS,
    Rule.model_validate(
        {
            "name": "quality-control",
            "keeps_out": True,
            "when": {
                "any": [
                    {"field": "dicom.QualityControlImage", "in": ["YES", "BOTH"]},
                    {"field": "dicom.BodyPartExamined", "equals": "PHANTOM"},
                    {"field": "dicom.SeriesDescription", "glob": "*phantom*"},
                    {"field": "dicom.ProtocolName", "glob": "*phantom*"},
                ]
            },
        }
    ),
    Rule.model_validate(
        {
            "name": "secondary-captures",
            "keeps_out": True,
            "when": {
                "any": [
                    {"field": "dicom.SOPClassUID", "equals": _SECONDARY_CAPTURE},
                    {"field": "dicom.SOPClassUID", "glob": f"{_SECONDARY_CAPTURE}.*"},
                ]
            },
        }
    ),
)
"""Rules that stand before those of each document with rules; the first one holds without any."""


class Outcome(StrEnum):
    """Outcome of the rules for an image."""

    CONTRACTS = "contracts"  # there are no rules: the models' contracts say who reads it
    RULES = "rules"
    OTHERWISE = "otherwise"
    NO_RULE = "no_rule"
    KEPT_OUT = "kept_out"


@dataclass(frozen=True, slots=True)
class Decision:
    """Consequences of the rules for an image.

    Parameters
    ----------
    outcome
        See `Outcome`.
    rules
        Names of the rules that apply, in their order; of one that is kept out, those that keep it
        out.
    models
        The models that are to read it, each once; none where contracts decide.
    shadows
        Models whose readings of it are only compared with the others.
    destinations
        Names of the destinations of its results.
    completion
        Completion of its study, as far as the rules say it.
    lane
        Lane in which its study waits.
    """

    outcome: Outcome
    rules: tuple[str, ...] = ()
    models: tuple[Arm, ...] = ()
    shadows: tuple[Arm, ...] = ()
    destinations: tuple[str, ...] = ()
    completion: RuleCompletion = field(default_factory=RuleCompletion)
    lane: Lane = Lane.ROUTINE


UNRULED = Decision(Outcome.CONTRACTS)


class Rules:
    """The rules of a document, the built-in ones before them.

    Parameters
    ----------
    document
        The document.
    rolled_back
        Keys of canaries that read nothing.

    Attributes
    ----------
    all
        The rules, in order.
    keywords
        DICOM keywords that their conditions name.
    zone
        Time zone of their times of day.
    """

    def __init__(self, document: RoutingRules, rolled_back: Collection[str] = ()) -> None:
        built_in = [rule for rule in BUILT_IN if rule.name not in document.rules_off]
        has_rules = document.has_rules
        self.all: tuple[Rule, ...] = (*built_in, *document.rules) if has_rules else (OWN_RESULTS,)
        self.keywords = frozenset(word for rule in self.all for word in keywords(rule.when))
        self.zone = ZoneInfo(document.time_zone)
        self._document = document
        self._rolled_back = rolled_back

    def decide(self, facts: Facts) -> Decision:
        """Return what follows for an image."""
        applying = [rule for rule in self.all if holds(rule.when, facts, self.zone)]
        return self.followed(applying, facts)

    def followed(self, applying: Sequence[Rule], facts: Facts) -> Decision:
        """Return what follows for an image to which these rules apply."""
        if keeping := [rule.name for rule in applying if rule.keeps_out]:
            return Decision(Outcome.KEPT_OUT, tuple(keeping))
        if not self._document.has_rules:
            return UNRULED
        if applying:
            names = tuple(rule.name for rule in applying)
            return self._together(Outcome.RULES, applying, names, facts)
        if self._document.otherwise is not None:
            return self._together(Outcome.OTHERWISE, [self._document.otherwise], (), facts)
        return Decision(Outcome.NO_RULE)

    def _together(
        self, outcome: Outcome, parts: Sequence[Otherwise], names: tuple[str, ...], facts: Facts
    ) -> Decision:
        """Return all that follows of several rules; of completion, what the first one says."""
        study_id = str(facts.metadata.get("study_id", ""))
        completions = [part.completion for part in parts if part.completion is not None]
        arms = dict.fromkeys(
            arm_of(model, study_id, self._rolled_back) for part in parts for model in part.models
        )
        return Decision(
            outcome,
            names,
            models=tuple(arm for arm in arms if arm.mode is not Mode.SHADOW),
            shadows=tuple(arm for arm in arms if arm.mode is Mode.SHADOW),
            destinations=tuple(dict.fromkeys(name for part in parts for name in part.destinations)),
            completion=_first_of_each(completions),
            lane=most_urgent(part.lane for part in parts if part.lane is not None),
        )


def _first_of_each(completions: Sequence[RuleCompletion]) -> RuleCompletion:
    """Return of each field what the first of them says that says anything."""
    said: dict[str, object] = {}
    for completion in reversed(completions):
        said |= {name: value for name, value in completion if value is not None and value != ()}
    return RuleCompletion.model_validate(said)


def most_urgent(lanes: Iterable[Lane]) -> Lane:
    """Return the most urgent of lanes; the routine one of none."""
    return min(lanes, key=list(Lane).index, default=Lane.ROUTINE)
