"""A study's view, made of its readings."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gateway.schemas.result import ImageResult, Notice, Status, StudyResult, StudySummary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.schemas.stored import FrameReading, Reading, StudyDocument


def study_path(study_id: str) -> str:
    """Path of a study's result."""
    return f"/v1/studies/{study_id}"


def picture_key(reading: Reading, index: int) -> str:
    """What names a frame and its reading for good: 16 hexadecimal digits.

    A number may come to mean another image: of two requests for one study, the one that came first
    may be the last to be read.
    """
    model = reading.model
    text = f"{reading.sha256}/{model.name}/{model.version}/{index}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def numbered_frames(
    readings: Sequence[Reading],
) -> Iterator[tuple[int, Reading, int, FrameReading]]:
    """Every frame of every reading, numbered from 1 as the view numbers its images.

    Yields
    ------
    tuple
        The image's number in the study, its reading, the frame's index in it, the frame.
    """
    number = 0
    for reading in readings:
        for index, frame in enumerate(reading.frames):
            number += 1
            yield number, reading, index, frame


def study_result(study: StudyDocument, readings: Sequence[Reading]) -> StudyResult:
    """The view of a study with these readings, oldest first."""
    return StudyResult(
        study_id=study.study_id,
        status=Status.COMPLETED if readings else Status.PENDING,
        received_at=study.received_at,
        completed_at=max((reading.completed_at for reading in readings), default=None),
        warnings=_distinct(notice for reading in readings for notice in reading.warnings),
        images=tuple(_image(study.study_id, *numbered) for numbered in numbered_frames(readings)),
    )


def study_summary(result: StudyResult) -> StudySummary:
    """The view, short."""
    positive = {
        finding.label: None
        for image in result.images
        for finding in image.findings
        if finding.positive
    }
    return StudySummary(
        study_id=result.study_id,
        status=result.status,
        received_at=result.received_at,
        completed_at=result.completed_at,
        images=len(result.images),
        positive=tuple(positive),
        href=study_path(result.study_id),
    )


def _image(
    study_id: str, number: int, reading: Reading, index: int, frame: FrameReading
) -> ImageResult:
    path, key = f"{study_path(study_id)}/images/{number}", picture_key(reading, index)
    return ImageResult(
        number=number,
        sha256=reading.sha256,
        frame=index + 1 if len(reading.frames) > 1 else None,
        media_type=reading.media_type,
        rows=frame.rows,
        columns=frame.columns,
        bits_stored=frame.bits_stored,
        view=reading.metadata.get("view"),
        model=reading.model,
        findings=frame.findings,
        heatmap=f"{path}/heatmap.png?key={key}" if frame.activation_map else None,
        preview=f"{path}/preview.png?key={key}",
        received_at=reading.received_at,
        completed_at=reading.completed_at,
        timings_ms=reading.timings_ms,
    )


def _distinct(notices: Iterator[Notice]) -> tuple[Notice, ...]:
    return tuple(dict.fromkeys(notices))
