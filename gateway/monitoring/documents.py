"""Documents of the health of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, Field

from gateway.monitoring.counts import ReadingCounts, merged
from gateway.monitoring.cusum import Evidence
from gateway.schemas.stored_document import Counts, StoredDocument

if TYPE_CHECKING:
    import datetime as dt

# Pages that wait for a person; an older one is run again.
_RUNS = 4


class Signal(StoredDocument):
    """State of one thing that is watched."""

    value: float = Field(description="Distance, or evidence.")
    low: float | None = Field(None, description="Lower bound of a distance, by 95 %.")
    high: float | None = Field(None, description="Upper bound of a distance, by 95 %.")
    limit: float = Field(description="Value of the lower bound, or evidence, that is an alarm.")
    n: int = Field(description="Number of readings it is of.")
    alarm_since: AwareDatetime | None = Field(None, description="Minute in which an alarm began.")

    @property
    def compared(self) -> float:
        """The number that is held against a limit: a distance's lower bound, or the evidence."""
        return self.value if self.low is None else self.low


class Day(StoredDocument):
    """Counts of a day (UTC)."""

    day: str
    readings: int = 0
    not_applicable: int = 0
    positive: Counts = Field({}, description="Positive findings by label.")
    verdicts: Counts = Field({}, description="Findings with a verdict by label.")


class AcceptanceRun(StoredDocument):
    """Counts of the readings of one run of `radstream accept`, which are no live ones."""

    run: str
    counts: ReadingCounts
    since: AwareDatetime = Field(description="Its first minute.")
    until: AwareDatetime = Field(description="Its last minute so far.")


class Silence(StoredDocument):
    """Fall of a model version to silence: its findings are shown and delivered nowhere."""

    rule: str = Field(description="Name of the stop rule that was broken.")
    cause: str = Field(description="Limit that it is beyond, in words.")
    since: AwareDatetime


class ModelHealth(StoredDocument):
    """Health of one model version."""

    schema_: Literal["radstream.model-health/1"] = Field("radstream.model-health/1", alias="schema")
    model: str
    version: str
    merged_until: AwareDatetime | None = Field(None, description="Latest minute that is in it.")
    merged_keys: tuple[str, ...] = Field((), description="Objects of minutes that came in last.")
    late_readings: int = Field(0, description="Readings whose minute came too late to be in it.")
    readings: int = 0
    reference: ReadingCounts = ReadingCounts()
    reference_since: AwareDatetime | None = None
    reference_until: AwareDatetime | None = Field(None, description="None until it is whole.")
    reference_run: str | None = Field(
        None, description="Acceptance run that the reference is of; None of first live readings."
    )
    runs: tuple[AcceptanceRun, ...] = Field((), description="Latest acceptance runs.")
    since_reference: int = Field(0, description="Readings after the reference.")
    blocks: tuple[ReadingCounts, ...] = Field((), description="Full blocks, oldest first.")
    block: ReadingCounts = Field(ReadingCounts(), description="The block that is being filled.")
    evidence: dict[str, Evidence] = Field({}, description="Evidence by share.")
    signals: dict[str, Signal] = Field({}, description="State by signal.")
    truth: tuple[ReadingCounts, ...] = Field(
        (), description="Judgements alone: the latest 200 to 400, the older ones first."
    )
    silence: Silence | None = Field(None, description="None while the version is not silent.")
    days: tuple[Day, ...] = ()

    @property
    def reference_source(self) -> Literal["acceptance", "first readings"]:
        """Origin of the reference."""
        return "first readings" if self.reference_run is None else "acceptance"

    def alarms(self) -> dict[str, Signal]:
        """Return the signals that are in alarm."""
        return {name: each for name, each in self.signals.items() if each.alarm_since is not None}

    def window(self) -> ReadingCounts:
        """Return the counts of the latest full blocks."""
        return merged(self.blocks)

    def latest(self) -> ReadingCounts:
        """Return the counts of the latest readings, the block that is being filled included."""
        return merged((*self.blocks, self.block))

    def judged(self) -> ReadingCounts:
        """Return the latest judgements."""
        return merged(self.truth)

    def renewed(self) -> ModelHealth:
        """Return the health as it begins anew without a reference: the next readings make one."""
        changes = {
            "reference": ReadingCounts(),
            "reference_since": None,
            "reference_until": None,
            "reference_run": None,
            "since_reference": 0,
            "silence": self.silence,
        }
        return self.rearmed().model_copy(update=changes)

    def acceptance(self, run: str | None) -> AcceptanceRun | None:
        """Return a run of `radstream accept`; None where no reading of it is known."""
        return next((each for each in self.runs if each.run == run), None)

    def counted(self, run: str, minute: dt.datetime, counts: ReadingCounts) -> ModelHealth:
        """Return the health after one more minute of an acceptance run, in whatever order."""
        before = self.acceptance(run) or AcceptanceRun(
            run=run, counts=ReadingCounts(), since=minute, until=minute
        )
        found = AcceptanceRun(
            run=run,
            counts=merged((before.counts, counts)),
            since=min(before.since, minute),
            until=max(before.until, minute),
        )
        others = (each for each in self.runs if each.run != run)
        changes: dict[str, object] = {"runs": (*others, found)[-_RUNS:]}
        if run == self.reference_run:
            changes |= _reference(found)
        return self.model_copy(update=changes)

    def referred_to(self, run: AcceptanceRun) -> ModelHealth:
        """Return the health as it begins anew with an acceptance run for its reference."""
        return self.renewed().model_copy(update=_reference(run))

    def rearmed(self) -> ModelHealth:
        """Return the health as it begins anew: heard again, with its reference and days alone."""
        changes: dict[str, object] = {
            "silence": None,
            "blocks": (),
            "block": ReadingCounts(),
            "truth": (),
            "evidence": {},
            "signals": {},
        }
        return self.model_copy(update=changes)


def _reference(run: AcceptanceRun) -> dict[str, object]:
    return {
        "reference": run.counts,
        "reference_since": run.since,
        "reference_until": run.until,
        "reference_run": run.run,
    }
