"""A request joins the record of its study: new readings, images that could not be processed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.results.completion import counted
from gateway.results.documents import MissingReading, Reading, StudyRecord
from gateway.results.failed_images import still_failed
from gateway.results.identity import contradicts, joined
from gateway.results.not_processed import noted, settled, still_left_out
from gateway.results.pages import may_have_image
from gateway.results.submissions import without

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence

    from gateway.results.documents import PageEntry
    from gateway.schemas.metadata import StudyMetadata
    from gateway.schemas.not_processed import NotProcessedDocument
    from gateway.schemas.result import ModelVersion

    ReadingKey = tuple[str, ModelVersion]


@dataclass(frozen=True, slots=True)
class Request:
    """Result of a request for a study, as it is to be stored.

    Parameters
    ----------
    metadata, received_at
        Of the study.
    fresh
        Readings of images that their models had not read before.
    processed
        By the name of the part, the first reading of all its images that could be processed.
    others
        Further readings of these images that were stored before.
    missing
        Readings of these images that models owe.
    entries
        Images that could not be.
    alone
        True if it has one image only.
    submission
        Id of the pending submission that it is made of, which ends with it.
    asked_again
        Id of the work that asked models again for it.
    corrects
        True if its sender may correct the study's identity.
    """

    metadata: StudyMetadata
    received_at: dt.datetime
    fresh: Sequence[Reading]
    processed: Mapping[str, Reading]
    others: Sequence[Reading] = ()
    missing: Sequence[MissingReading] = ()
    entries: Sequence[NotProcessedDocument] = ()
    alone: bool = False
    submission: str | None = None
    asked_again: str | None = None
    corrects: bool = False

    def changes(self, record: StudyRecord | None) -> bool:
        """Return True if there is something to write, as far as this record tells."""
        before = record is not None and record.lacks()
        corrects = self.corrects and contradicts(self.metadata, record)
        return bool(
            (self.fresh or self.entries or self.missing) or self.submission or before or corrects
        )


@dataclass(slots=True)
class OnPages:
    """Content of pages that may have images of a request, as far as they were read."""

    pages: set[str] = field(default_factory=set)
    readings: dict[ReadingKey, Reading] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)


class UnreadPagesError(Exception):
    """Pages are to be read before a request can join its study."""

    def __init__(self, record: StudyRecord, pages: Sequence[PageEntry]) -> None:
        super().__init__()
        self.record = record
        self.pages = pages


def joining(request: Request, on_pages: OnPages) -> Callable[[StudyRecord | None], StudyRecord]:
    """Return the change that adds a request to a record."""

    def change(record: StudyRecord | None) -> StudyRecord:
        metadata = request.metadata
        record = record or StudyRecord.begun(metadata.study_id)
        pending = without(record, request.submission)
        identity = joined(metadata, record, corrects=request.corrects)
        unread = [page for page in record.pages if page.name not in on_pages.pages]
        if pages := [
            page
            for page in unread
            if any(may_have_image(page, reading.sha256) for reading in request.fresh)
        ]:
            raise UnreadPagesError(record, pages)
        readings, images = list(record.readings), record.images
        there = {key_of(item) for item in readings} | on_pages.readings.keys()
        numbers = on_pages.numbers | {item.sha256: item.number for item in readings}
        for reading in request.fresh:
            if key_of(reading) in there:
                continue
            if reading.sha256 not in numbers:
                numbers[reading.sha256] = images + 1
                images += len(reading.frames)
            readings.append(reading.model_copy(update={"number": numbers[reading.sha256]}))
        left_out = record.open_images_left_out
        alone = request.alone and not left_out
        entries = settled(record.open_images, request.processed, alone=alone)
        entries = noted(entries, request.entries)
        news = {
            "received_at": record.received_at or request.received_at,
            **identity,
            "study_instance_uid": record.study_instance_uid
            or next(
                (item.study_instance_uid for item in readings if item.study_instance_uid), None
            ),
            "images": images,
            "readings": tuple(readings),
            "missing_readings": _still_missing(record, request, readings),
            "open_images": entries,
            "open_images_left_out": still_left_out(
                left_out, request.processed.values(), (entry.sha256 for entry in entries)
            ),
            "pending": pending,
            "failed": still_failed(record, request.processed.values()),
        }
        if all(getattr(record, name) == value for name, value in news.items()):
            return record
        return counted(record.changed(**news), request.submission or request.asked_again)

    return change


def _still_missing(
    record: StudyRecord, request: Request, readings: Sequence[Reading]
) -> tuple[MissingReading, ...]:
    """Return the readings that models owe: of the request's images, those that it says."""
    images = {reading.sha256 for reading in request.processed.values()}
    since = {_owed(item): item.since for item in record.missing_readings}
    there = {(item.sha256, item.model.name, item.model.version) for item in readings}
    kept = [item for item in record.missing_readings if item.sha256 not in images]
    news = (
        item.model_copy(update={"since": since.get(_owed(item), item.since)})
        for item in request.missing
        if _owed(item) not in there
    )
    return (*kept, *news)


def _owed(item: MissingReading) -> tuple[str, str, str | None]:
    return item.sha256, item.name, item.version


def key_of(reading: Reading) -> ReadingKey:
    """Return image and model version, of which a study has one reading."""
    return reading.sha256, reading.model
