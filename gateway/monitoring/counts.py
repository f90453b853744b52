"""Counts of readings: they add up, whichever gateway and minute they are of, and name nobody."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from pydantic import Field

from gateway.monitoring.features import PROBABILITY_BINS, bins_of, unit_bin
from gateway.schemas.stored_document import Counts, StoredDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gateway.schemas.reading_event import ReadingEvent

_NEAR = 0.1  # to the threshold: as probabilities are told in steps of a hundredth


class FindingCounts(StoredDocument):
    """Counts of one label's findings."""

    verdicts: int = Field(0, description="Number of findings with a verdict.")
    positive: int = Field(0, description="Number of them that are positive.")
    near: int = Field(0, description="Number of them within 0.1 of the threshold.")
    probability: Counts = Field({}, description="Number of them by bin of the probability.")


class TruthCounts(StoredDocument):
    """Counts of judgements on one label, beside the verdict that was judged.

    A judgement that its author replaces is taken off again, maybe in a later minute: then a number
    is below 0.
    """

    true_positive: int = 0
    false_negative: int = 0
    false_positive: int = 0
    true_negative: int = 0

    @property
    def judgements(self) -> int:
        """Number of all."""
        return self.true_positive + self.false_negative + self.false_positive + self.true_negative


class ReadingCounts(StoredDocument):
    """Counts of the readings of one model version; each frame is one."""

    readings: int = 0
    failed: int = Field(0, description="Number of images that it did not read, by its own fault.")
    not_applicable: int = Field(0, description="Number of those that have no verdict.")
    features: dict[str, Counts] = Field({}, description="Number of readings by feature and bin.")
    findings: dict[str, FindingCounts] = Field({}, description="Findings by label.")
    truth: dict[str, TruthCounts] = Field({}, description="Judgements by label.")


class Tally:
    """Counts of readings in the making."""

    def __init__(self) -> None:
        self.readings = 0
        self._not_applicable = 0
        self._features: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._verdicts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._probability: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._failed = 0
        self._truth: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def fail(self) -> None:
        """Count an image that was not read."""
        self._failed += 1

    def judge(self, label: str, *, positive: bool, present: bool, by: int = 1) -> None:
        """Count a judgement on a verdict.

        Parameters
        ----------
        positive, present
            The verdict, and the truth by the judgement.
        by
            -1 takes one off that was counted before.
        """
        cell = f"{'true' if positive is present else 'false'}_{_sign(positive=positive)}"
        self._truth[label][cell] += by

    def count(self, event: ReadingEvent) -> None:
        """Count one finding, and its picture with the first finding of each reading."""
        if event.finding == 1:
            self.readings += 1
            self._not_applicable += not event.applicable
            for feature, place in bins_of(event):
                self._features[feature][place] += 1
        verdicts = self._verdicts[event.label]
        if event.positive is None:
            return
        verdicts["verdicts"] += 1
        verdicts["positive"] += event.positive
        verdicts["near"] += abs(event.probability - event.threshold) < _NEAR
        place = str(unit_bin(event.probability, PROBABILITY_BINS))
        self._probability[event.label][place] += 1

    def counts(self) -> ReadingCounts:
        """Return the counts so far."""
        return ReadingCounts(
            readings=self.readings,
            failed=self._failed,
            not_applicable=self._not_applicable,
            features={name: dict(bins) for name, bins in self._features.items()},
            findings={
                label: FindingCounts(**verdicts, probability=dict(self._probability[label]))
                for label, verdicts in self._verdicts.items()
            },
            truth={label: TruthCounts(**cells) for label, cells in self._truth.items()},
        )


def _sign(*, positive: bool) -> str:
    return "positive" if positive else "negative"


def merged(several: Iterable[ReadingCounts]) -> ReadingCounts:
    """Return the sum of counts, in whatever order they come."""
    several = list(several)
    return ReadingCounts(
        readings=sum(each.readings for each in several),
        failed=sum(each.failed for each in several),
        not_applicable=sum(each.not_applicable for each in several),
        features=_added(each.features for each in several),
        findings=_findings(several),
        truth={
            label: TruthCounts(**cells)
            for label, cells in _added(
                {label: cells.model_dump() for label, cells in each.truth.items()}
                for each in several
            ).items()
        },
    )


def _findings(several: Iterable[ReadingCounts]) -> dict[str, FindingCounts]:
    by_label: defaultdict[str, list[FindingCounts]] = defaultdict(list)
    for each in several:
        for label, counts in each.findings.items():
            by_label[label].append(counts)
    return {
        label: FindingCounts(
            verdicts=sum(each.verdicts for each in counts),
            positive=sum(each.positive for each in counts),
            near=sum(each.near for each in counts),
            probability=_added({label: each.probability} for each in counts)[label],
        )
        for label, counts in sorted(by_label.items())
    }


def _added(several: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in several:
        for name, bins in each.items():
            sums[name].update(bins)
    return {name: dict(sorted(bins.items())) for name, bins in sorted(sums.items())}
