"""A study's view, made of its readings."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gateway.schemas.not_processed import told
from gateway.schemas.result import (
    ImageResult,
    ResultWarning,
    Status,
    StudyResult,
    StudySummary,
    study_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gateway.results.documents import FrameReading, Reading, StudyDocument
    from gateway.schemas.not_processed import NotProcessedDocument


def picture_key(reading: Reading, index: int) -> str:
    """Return the permanent name of a frame and its reading: 16 hexadecimal digits.

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


def study_result(
    study: StudyDocument,
    readings: Sequence[Reading],
    not_processed: Sequence[NotProcessedDocument] = (),
    standing: Mapping[str, str] | None = None,
) -> StudyResult:
    """The view of a study with these readings, oldest first.

    Parameters
    ----------
    not_processed
        Images that are still to be sent again.
    standing
        SHA-256 of what stands under each name of the drop folder that held several images.
    """
    replaced = superseded(readings, standing or {})
    images = tuple(
        _image(study.study_id, *numbered, superseded_by=replaced.get(numbered[1].sha256))
        for numbered in numbered_frames(readings)
    )
    stand = [reading for reading in readings if reading.sha256 not in replaced]
    return StudyResult(
        study_id=study.study_id,
        status=_status(stand, not_processed),
        received_at=study.received_at,
        completed_at=max((reading.completed_at for reading in stand), default=None),
        warnings=_distinct(
            [*(notice for reading in stand for notice in reading.warnings), *_replacements(images)]
        ),
        images=images,
        not_processed=tuple(map(told, not_processed)) or None,
    )


def superseded(readings: Sequence[Reading], standing: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each image that another one replaces, and that one's.

    What stands under any name is replaced under none, and what was not read replaces nothing.
    """
    read, current = {reading.sha256 for reading in readings}, set(standing.values())
    replaced: dict[str, str] = {}
    for reading in readings:
        stands = standing.get(reading.dropped_as or "")
        if stands in read and reading.sha256 not in current:
            replaced[reading.sha256] = stands
    return replaced


def _status(readings: Sequence[Reading], not_processed: Sequence[NotProcessedDocument]) -> Status:
    if not readings:
        return Status.PENDING
    return Status.PARTIAL if not_processed else Status.COMPLETED


def _replacements(images: Sequence[ImageResult]) -> Iterator[ResultWarning]:
    """Warn of each image that does not count any more."""
    numbers = {image.sha256: image.number for image in reversed(images)}
    for image in images:
        if image.superseded_by is not None:
            yield ResultWarning(
                pointer="image",
                detail=f"image {image.number} is superseded by image "
                f"{numbers[image.superseded_by]}: other bytes came under its name in the drop "
                "folder",
            )


def study_summary(result: StudyResult) -> StudySummary:
    """The view, short."""
    stand = [image for image in result.images if image.superseded_by is None]
    positive = {
        finding.label: None for image in stand for finding in image.findings if finding.positive
    }
    return StudySummary(
        study_id=result.study_id,
        status=result.status,
        received_at=result.received_at,
        completed_at=result.completed_at,
        images=len(stand),
        positive=tuple(positive),
        href=study_path(result.study_id),
    )


def _image(
    study_id: str,
    number: int,
    reading: Reading,
    index: int,
    frame: FrameReading,
    *,
    superseded_by: str | None,
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
        superseded_by=superseded_by,
    )


def _distinct(notices: Iterable[ResultWarning]) -> tuple[ResultWarning, ...]:
    return tuple(dict.fromkeys(notices))
