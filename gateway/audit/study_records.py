"""Records of one study in the audit trail's files, newest first.

For a page that a person looks at: so many bytes are read and no more, and the answer says where
they did not reach. All of it is found with Athena, or grep; see docs/security.md.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gateway.schemas.audit import AuditRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_RECORDS = 200
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class StudyRecords:
    """Records of a study.

    Parameters
    ----------
    records
        The newest ones, newest first.
    is_whole
        True if there are no others since the day that was asked for.
    """

    records: tuple[AuditRecord, ...]
    is_whole: bool


def records_of(
    folder: Path, study_id: str, *, since: dt.date, tenant: str | None = None
) -> StudyRecords:
    """Return the records of a study. Blocks while files are read.

    Parameters
    ----------
    folder
        Of the trail's files.
    since
        Day (UTC) before which there are none.
    tenant
        Tenant of the study: another's of the same study_id is another study.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    name = json.dumps(study_id).encode()
    found: list[AuditRecord] = []
    left = _MOST_BYTES
    for path in _files(folder, since):
        with path.open("rb") as file:
            size = path.stat().st_size
            file.seek(max(0, size - left))  # the rest of a line is no record
            records = _records(file, name, study_id)
            found += [record for record in records if record.tenant == tenant]
        left -= size
        if left < 0 or len(found) > _MOST_RECORDS:
            break
    found.sort(key=lambda record: record.recorded_at, reverse=True)
    is_whole = left >= 0 and len(found) <= _MOST_RECORDS
    return StudyRecords(tuple(found[:_MOST_RECORDS]), is_whole)


def _files(folder: Path, since: dt.date) -> Iterator[Path]:
    """Yield the files that records since a day may stand in, newest first."""
    first = dt.datetime.combine(since, dt.time(), dt.UTC).timestamp()
    for path in sorted(folder.glob("audit-*.jsonl"), reverse=True):
        if path.stat().st_mtime >= first:
            yield path


def _records(lines: Iterator[bytes], name: bytes, study_id: str) -> Iterator[AuditRecord]:
    for line in lines:
        if name not in line:
            continue
        try:
            record = AuditRecord.model_validate_json(line)
        except ValidationError:
            continue  # cut off, or of a newer gateway
        if study_id in record.studies:
            yield record
