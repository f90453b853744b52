"""Readings by shadow models, beside the study's document, which does not name them.

Nothing that answers, renders, delivers or searches reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, Field

from gateway.errors import StudyNotFoundError
from gateway.results.keys import shadow_key
from gateway.schemas.result import Finding, Mode, ModelVersion
from gateway.schemas.stored_document import Milliseconds, StoredDocument
from gateway.storage.documents import create_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.results.documents import Reading
    from gateway.results.store import ResultStore
    from gateway.storage.protocol import ObjectStore


class ShadowFrame(StoredDocument):
    """Findings of the model in one frame."""

    findings: tuple[Finding, ...]
    applicability_score: float | None = None
    not_applicable: str | None = Field(
        None, description="Cause of the model's not being applicable to this frame."
    )


class ReadingPair(StoredDocument):
    """A label's findings in one frame, by the shadow model and by one whose reading is shown."""

    model: ModelVersion = Field(description="Model whose reading is shown.")
    mode: Mode
    frame: int = Field(1, description="The frame's number, from 1.")
    label: str
    probability: float
    positive: bool | None = Field(
        None, description="Absent where its model is not applicable; so is `shadow_positive`."
    )
    shadow_probability: float
    shadow_positive: bool | None = None

    @property
    def verdicts(self) -> str:
        """The pair's cell of the two-by-two table, or `not_applicable`."""
        if self.positive is None or self.shadow_positive is None:
            return "not_applicable"
        if self.positive is self.shadow_positive:
            return "both_positive" if self.positive else "both_negative"
        return "only_shown" if self.positive else "only_shadow"


VERDICTS = ("both_positive", "both_negative", "only_shown", "only_shadow", "not_applicable")


class ShadowReading(StoredDocument):
    """Result of a shadow model for one image, beside the readings that are shown."""

    schema_: Literal["radstream.shadow/1"] = Field("radstream.shadow/1", alias="schema")
    study_id: str
    sha256: str
    model: ModelVersion
    not_applicable: str | None = Field(
        None, description="Cause of the model's not being applicable; absent where it is."
    )
    completed_at: AwareDatetime
    timings_ms: Milliseconds
    frames: tuple[ShadowFrame, ...]
    pairs: tuple[ReadingPair, ...]


class Shadows:
    """Readings by shadow models, in the store.

    Parameters
    ----------
    objects, results
        The store, and the studies on it.
    """

    def __init__(self, objects: ObjectStore, results: ResultStore) -> None:
        self._objects = objects
        self._results = results

    async def add(self, reading: ShadowReading) -> bool:
        """Store a reading; return False where there was one by this model already.

        Raises
        ------
        StudyNotFoundError, StudyBeingDeletedError
            The study is gone, and nothing may be stored of it.
        """
        if await self._results.record(reading.study_id) is None:
            raise StudyNotFoundError
        key = shadow_key(reading.study_id, reading.sha256, reading.model)
        return await create_document(self._objects, key, reading)


def pairs_of(frames: tuple[ShadowFrame, ...], shown: Reading) -> Iterator[ReadingPair]:
    """Yield the pairs of a shadow model's findings with those of a reading, label by label."""
    for number, (frame, other) in enumerate(zip(frames, shown.frames, strict=False), start=1):
        findings = {finding.label: finding for finding in other.findings}
        for finding in frame.findings:
            beside = findings.get(finding.label)
            if beside is not None:
                yield ReadingPair(
                    model=shown.model,
                    mode=shown.mode,
                    frame=number,
                    label=finding.label,
                    probability=beside.probability,
                    positive=beside.positive,
                    shadow_probability=finding.probability,
                    shadow_positive=finding.positive,
                )
