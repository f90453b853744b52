"""Public view of a study, made of its record."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from gateway.problems import problem_of_kind
from gateway.results.deliveries import study_deliveries
from gateway.results.search_attributes import study_attributes
from gateway.schemas.not_processed import told
from gateway.schemas.result import (
    Applicability,
    AskedModel,
    ImageResult,
    MissingReading,
    ModelDescription,
    ReadingResult,
    ResultWarning,
    Status,
    StudyCompletion,
    StudyResult,
    Verdict,
    study_path,
)
from gateway.schemas.study_list import StudySummary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gateway.results.documents import FrameReading, PageEntry, Reading, StudyRecord
    from gateway.results.documents import MissingReading as MissingReadingDocument


SILENT = "model-silent"
"""Kind of the problem of readings that are not shown."""


def picture_key(reading: Reading, index: int) -> str:
    """Return the permanent name of a frame and its reading: 16 hexadecimal digits.

    Of an image that several model versions read a number alone does not say which reading is
    meant.
    """
    model = reading.model
    text = f"{reading.sha256}/{model.name}/{model.version}/{index}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def numbered_frames(
    readings: Iterable[Reading],
) -> Iterator[tuple[int, Reading, int, FrameReading]]:
    """Yield every frame of every reading, with the number of its image.

    Yields
    ------
    tuple
        The image's number in the study, its reading, the frame's index in it, the frame.
    """
    for reading in readings:
        for index, frame in enumerate(reading.frames):
            yield reading.number + index, reading, index, frame


def study_result(
    record: StudyRecord, earlier: Sequence[Reading] = (), *, whole: bool = False
) -> StudyResult:
    """Return the view of a study.

    Parameters
    ----------
    earlier
        Readings on its pages that are to be shown as well.
    whole
        True if they are all that stand there.
    """
    readings = [*earlier, *record.readings]
    replaced = superseded(readings, record.standing)
    images = _images(record.study_id, readings, replaced)
    stand = [reading for reading in readings if reading.sha256 not in replaced]
    pages = () if whole else record.pages
    ended = [reading.completed_at for reading in stand]
    ended += [page.completed_at for page in pages]
    disclaimers = [text for page in pages for text in page.disclaimers]
    disclaimers += [reading.disclaimer for reading in stand if reading.disclaimer]
    return StudyResult(
        study_id=record.study_id,
        study_instance_uid=record.study_instance_uid,
        status=_status(record, [*stand, *pages]),
        received_at=record.received_at or record.changed_at,
        completed_at=max(ended, default=None),
        warnings=_distinct(
            [*(notice for reading in stand for notice in reading.warnings), *_replacements(images)]
        ),
        disclaimer=" ".join(dict.fromkeys(disclaimers)) or None,
        earlier_images=record.images - len(images) if pages else None,
        images=images,
        not_processed=tuple(map(told, record.open_images)) or None,
        not_processed_left_out=len(record.open_images_left_out) or None,
        missing_readings=(*missing_readings(record), *_withheld(stand)) or None,
        completion=_completion(record),
        deliveries=study_deliveries(record),
        feedback=record.feedback or None,
    )


def missing_readings(record: StudyRecord) -> tuple[MissingReading, ...]:
    """Return the readings that models owe a study."""
    return tuple(
        MissingReading(
            sha256=item.sha256,
            model=AskedModel(name=item.name, version=item.version),
            since=item.since,
            is_retried=is_awaited(item),
            problem=problem_of_kind(item.problem),
        )
        for item in record.missing_readings
    )


def _withheld(readings: Iterable[Reading]) -> Iterator[MissingReading]:
    """Yield the readings by models that were silent, as ones that are missing."""
    for reading in readings:
        if reading.silent:
            yield MissingReading(
                sha256=reading.sha256,
                model=AskedModel(name=reading.model.name, version=reading.model.version),
                since=reading.completed_at,
                is_retried=False,
                problem=problem_of_kind(SILENT),
            )


def is_awaited(item: MissingReadingDocument) -> bool:
    """Return True if a model is asked again for a reading."""
    return item.work is not None and not item.failed


def _completion(record: StudyRecord) -> StudyCompletion | None:
    completion = record.completion
    if completion is None:
        return None
    return StudyCompletion(
        completed_at=completion.completed_at,
        last_instance_at=completion.last_instance_at,
        expected_instances=completion.expected,
        expected_views=completion.expected_views or None,
        missing_instances=completion.missing_instances or None,
        missing_views=completion.missing_views or None,
        held=completion.held or None,
        reopened=completion.reopened,
    )


def superseded(readings: Iterable[Reading], standing: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each image that another one replaces, and that one's.

    What stands under any name is replaced under none.
    """
    if not standing:
        return {}
    current = set(standing.values())
    replaced: dict[str, str] = {}
    for reading in readings:
        stands = standing.get(reading.dropped_as or "")
        if stands is not None and reading.sha256 not in current:
            replaced[reading.sha256] = stands
    return replaced


def shown(readings: Iterable[Reading], standing: Mapping[str, str]) -> list[Reading]:
    """Return the readings that are shown: neither superseded nor withheld."""
    readings = list(readings)
    replaced = superseded(readings, standing)
    return [each for each in readings if each.sha256 not in replaced and not each.silent]


def is_withheld(record: StudyRecord) -> bool:
    """Return True if something of a study is withheld."""
    return any(each.silent for each in record.readings) or any(page.silent for page in record.pages)


def positive_labels(readings: Iterable[Reading]) -> list[str]:
    """Return the labels found positive in any of the readings, each once."""
    labels = {
        finding.label: None
        for reading in readings
        for frame in reading.frames
        for finding in frame.findings
        if finding.positive
    }
    return list(labels)


def study_summary(
    record: StudyRecord, status: Status, earlier: Sequence[Reading] | None = None
) -> StudySummary:
    """Return a summary of a study.

    Parameters
    ----------
    status
        Of the study, with what is on its way.
    earlier
        The readings on its pages: where names of the drop folder hold other images by now, only
        these say which are meant.
    """
    readings = [*(earlier or ()), *record.readings]
    replaced = superseded(readings, record.standing)
    gone = {item.sha256: len(item.frames) for item in readings if item.sha256 in replaced}
    stand = [reading for reading in readings if reading.sha256 not in replaced]
    pages = record.pages if earlier is None else ()
    labels = dict.fromkeys(label for page in pages for label in page.positive)
    labels |= dict.fromkeys(positive_labels(stand))
    ended = [page.completed_at for page in pages] + [reading.completed_at for reading in stand]
    attributes = study_attributes(record)
    return StudySummary(
        study_id=record.study_id,
        status=status,
        received_at=record.received_at or record.changed_at,
        completed_at=max(ended, default=None),
        images=record.images - sum(gone.values()),
        positive=tuple(labels),
        study_instance_uid=record.study_instance_uid,
        study_date=attributes.study_date,
        accession_number=record.identity.get("accession_number"),
        patient_id=record.identity.get("patient_id"),
        modalities=attributes.modalities,
        body_parts=attributes.body_parts,
        senders=attributes.senders,
        series=len(attributes.series),
        warnings=attributes.warnings,
        feedback=len(record.feedback),
        href=study_path(record.study_id),
    )


def study_status(record: StudyRecord) -> Status:
    """Return the status of a study, by its document alone."""
    replaced = superseded(record.readings, record.standing)
    stand = [reading for reading in record.readings if reading.sha256 not in replaced]
    return _status(record, [*stand, *record.pages])


def _status(record: StudyRecord, stand: Sequence[Reading | PageEntry]) -> Status:
    if record.pending:
        return Status.PENDING
    if not stand:
        return Status.FAILED if record.failed else Status.PENDING
    is_whole = not record.lacks() and not any(each.silent for each in stand)
    return Status.COMPLETED if is_whole else Status.PARTIAL


def _replacements(images: Sequence[ImageResult]) -> Iterator[ResultWarning]:
    """Warn of each image that does not count any more."""
    numbers = {image.sha256: image.number for image in reversed(images)}
    for image in images:
        if image.superseded_by is not None:
            number = numbers.get(image.superseded_by)
            other = "another one" if number is None else f"image {number}"
            yield ResultWarning(
                pointer="image",
                detail=f"image {image.number} is superseded by {other}: other bytes came under "
                "its name in the drop folder",
            )


def _images(
    study_id: str, readings: Sequence[Reading], replaced: Mapping[str, str]
) -> tuple[ImageResult, ...]:
    """Return the images by their number, each with all of these readings that are of it."""
    by_number: dict[int, list[tuple[Reading, int, FrameReading]]] = {}
    for number, reading, index, frame in numbered_frames(readings):
        by_number.setdefault(number, []).append((reading, index, frame))
    return tuple(
        _image(study_id, number, found, replaced) for number, found in sorted(by_number.items())
    )


def _image(
    study_id: str,
    number: int,
    found: Sequence[tuple[Reading, int, FrameReading]],
    replaced: Mapping[str, str],
) -> ImageResult:
    first, index, frame = found[0]
    path = f"{study_path(study_id)}/images/{number}"
    return ImageResult(
        number=number,
        sha256=first.sha256,
        frame=index + 1 if len(first.frames) > 1 else None,
        media_type=first.media_type,
        rows=frame.rows,
        columns=frame.columns,
        bits_stored=frame.bits_stored,
        view=first.metadata.get("view"),
        sop_instance_uid=first.sop_instance_uid,
        series_instance_uid=first.series_instance_uid,
        preview=f"{path}/preview.png?key={picture_key(first, index)}",
        received_at=first.received_at,
        superseded_by=replaced.get(first.sha256),
        readings=tuple(_reading(path, *each) for each in found if not each[0].silent),
    )


def applicability(reading: Reading, frame: FrameReading) -> Applicability:
    """Return the fitness of a reading's model for a frame."""
    reason = reading.not_applicable or frame.not_applicable
    return Applicability(
        verdict=Verdict.APPLICABLE if reason is None else Verdict.NOT_APPLICABLE,
        score=frame.applicability_score,
        reason=reason,
        doubts=(reading.doubts or None) if reason is None else None,
    )


def _reading(path: str, reading: Reading, index: int, frame: FrameReading) -> ReadingResult:
    return ReadingResult(
        model=ModelDescription(
            name=reading.model.name,
            version=reading.model.version,
            title=reading.title,
            intended_use=reading.intended_use,
        ),
        applicable=applicability(reading, frame),
        mode=reading.mode,
        findings=frame.findings,
        heatmap=f"{path}/heatmap.png?key={picture_key(reading, index)}"
        if frame.activation_map
        else None,
        completed_at=reading.completed_at,
        timings_ms=reading.timings_ms,
    )


def _distinct(warnings: Iterable[ResultWarning]) -> tuple[ResultWarning, ...]:
    return tuple(dict.fromkeys(warnings))
