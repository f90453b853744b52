"""Telemetry events of a reading: one for each of its findings."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING

from gateway.schemas.reading_event import AgeBand, ReadingEvent, label_name
from gateway.schemas.result import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.results.documents import Reading
    from gateway.studies.readings import FreshImage


def reading_events(
    item: FreshImage, reading: Reading, pseudonyms: Pseudonyms, common: Mapping[str, Any]
) -> Iterator[ReadingEvent]:
    """Yield the events of a reading that is stored.

    Parameters
    ----------
    item
        The image it was made of.
    common
        Fields in which the events of one study are alike, `study_ref` among them.
    """
    facts = {**common, **_facts(item, reading, pseudonyms)}
    for number, (frame, prepared) in enumerate(
        zip(reading.frames, item.prepared.frames, strict=True), 1
    ):
        picture = {
            "frame": number,
            "applicable": reading.not_applicable is None and frame.not_applicable is None,
            "rows": frame.rows,
            "columns": frame.columns,
            "bits_stored": frame.bits_stored,
            **asdict(prepared.statistics),
        }
        for place, finding in enumerate(frame.findings, 1):
            yield ReadingEvent(
                event_id=_event_id(facts, reading.received_at.isoformat(), number, place),
                finding=place,
                label=label_name(finding.label),
                probability=finding.probability,
                threshold=finding.threshold,
                positive=finding.positive,
                **picture,
                **facts,
            )


def _facts(item: FreshImage, reading: Reading, pseudonyms: Pseudonyms) -> dict[str, Any]:
    """Return the fields in which the events of one reading are alike."""
    metadata, acquisition = item.image.metadata, item.prepared.acquisition
    age = metadata.patient_age
    return {
        "occurred_at": reading.completed_at,
        "image_ref": pseudonyms.image_ref(reading.sha256),
        "model": reading.model.name,
        "model_version": reading.model.version,
        "mode": Mode.SILENT if reading.silent else reading.mode,
        "modality": metadata.modality,
        "body_part": metadata.body_part,
        "view": metadata.view,
        "age_band": None if age is None else AgeBand.of(age),
        "sex": acquisition.sex,
        "hour": metadata.timestamp.hour,
        "device": pseudonyms.device_ref(acquisition.device),
        "exposure_index": acquisition.exposure_index,
    }


def _event_id(facts: Mapping[str, Any], received_at: str, frame: int, finding: int) -> str:
    """Return the event id of a finding, the same if the reading is told of again."""
    names = ("study_ref", "image_ref", "model", "model_version")
    text = " ".join([*(facts[name] for name in names), received_at, f"{frame} {finding}"])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
