"""Attributes of a study's images by which it is searched and listed, gathered as they join it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from gateway.results.documents import SearchAttributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.results.documents import Reading, StudyRecord


def search_attributes(readings: Sequence[Reading], begun: int = 0) -> SearchAttributes:
    """Return the attributes of these readings.

    Parameters
    ----------
    begun
        Number of the study's images that were counted before: they are counted in no series again.
    """
    new = {reading.sha256: reading for reading in readings if reading.number > begun}
    series = Counter(
        reading.series_instance_uid for reading in new.values() if reading.series_instance_uid
    )
    moment = next((moment for each in readings if (moment := _moment(each))), (None, None))
    return SearchAttributes(
        study_date=moment[0],
        study_time=moment[1],
        modalities=_distinct(reading.metadata.get("modality") for reading in readings),
        body_parts=_distinct(reading.metadata.get("body_part") for reading in readings),
        senders=_distinct(reading.sender for reading in readings),
        routes=_distinct(reading.route for reading in readings),
        views=_distinct(reading.metadata.get("view") for reading in readings),
        series=dict(series),
        warnings=sum(len(reading.warnings) for reading in readings),
    )


def study_attributes(record: StudyRecord) -> SearchAttributes:
    """Return the attributes of a study, its pages included."""
    begun = sum(page.images for page in record.pages)
    parts = [*(page.attributes for page in record.pages)]
    parts.append(search_attributes(record.readings, begun))
    dated = next((part for part in parts if part.study_date is not None), parts[-1])
    series: Counter[str] = Counter()
    for part in parts:
        series.update(part.series)
    return SearchAttributes(
        study_date=dated.study_date,
        study_time=dated.study_time,
        modalities=_distinct(value for part in parts for value in part.modalities),
        body_parts=_distinct(value for part in parts for value in part.body_parts),
        senders=_distinct(value for part in parts for value in part.senders),
        routes=_distinct(value for part in parts for value in part.routes),
        views=_distinct(value for part in parts for value in part.views),
        series=dict(series),
        warnings=sum(part.warnings for part in parts),
    )


def _moment(reading: Reading) -> tuple[dt.date, dt.time | None] | None:
    """Return the date and time of the study, as the metadata of an image have them."""
    date = time = None
    with suppress(ValueError):
        date = dt.date.fromisoformat(str(reading.metadata.get("study_date")))
    with suppress(ValueError):
        moment = dt.datetime.fromisoformat(str(reading.metadata.get("timestamp")))
        time = moment.timetz() if moment.date() == date else None
    return None if date is None else (date, time)


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
