"""Objects of a study, wherever they lie, as its document names them or as they name the study.

A withdrawal of a deleted study has a document like a study, and counts as one here.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from gateway.results.asked_commitments import commitments_folder, report_key
from gateway.results.deletion import note_key
from gateway.results.deliveries import is_on_its_way
from gateway.results.document_room import RecordRest, with_rest
from gateway.results.documents import StudyDocument
from gateway.results.held_studies import held_key
from gateway.results.instances import InstancePointer, pointer_key
from gateway.results.keys import document_key, pointers_folder, rest_key, study_folder
from gateway.storage.layout import (
    CALLBACKS,
    COMPLETION,
    DELIVERIES,
    INSTANCES,
    READINGS,
    SUBMISSIONS,
    WAITING,
)
from gateway.work.documents import WorkDocument
from gateway.work.entries import JOB
from gateway.work.keys import KINDS, WorkId, kept_folders, of_entry
from gateway.work.parked import item_key, pair_beginning, work_item_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.backup.files import Files
    from gateway.results.documents import StudyRecord


class WorkEntry(NamedTuple):
    """An entry of work.

    Parameters
    ----------
    kind
        Prefix of its kind; of all destinations the same.
    work, key
        The work, and the entry's key.
    """

    kind: str
    work: WorkId
    key: str


class StudyObjects(NamedTuple):
    """Objects of a study beside its document.

    Parameters
    ----------
    keys
        Their keys.
    is_whole
        False if the document names work of which nothing was found.
    """

    keys: list[str]
    is_whole: bool = True


def study_document(data: bytes | None) -> StudyDocument | None:
    """Return the document of a study; None where there is none that can be read."""
    try:
        return None if data is None else StudyDocument.model_validate_json(data)
    except ValidationError:
        return None


def work_entries(files: Files) -> Mapping[str, Sequence[WorkEntry]]:
    """Return all entries of work by study.

    They are listed twice: one that is postponed moves, maybe from where the listing has yet to look
    to where it has looked.
    """
    found: defaultdict[str, dict[WorkEntry, None]] = defaultdict(dict)
    for kind in (*KINDS, COMPLETION) * 2:
        for key in files.keys(kind):
            named = of_entry(kind, key)
            if named is not None:
                found[named[0].study_id][WorkEntry(kind, named[0], key)] = None
    return {study_id: list(entries) for study_id, entries in found.items()}


def study_objects(
    files: Files, study_id: str, document: StudyDocument | None, entries: Sequence[WorkEntry]
) -> StudyObjects:
    """Return the objects of a study.

    Parameters
    ----------
    document
        Its document, which was read before the entries were listed; None where it cannot be read,
        or a withdrawal has none yet: then all that lies there belongs to it.
    entries
        Entries of its work. Those of its completion are no part of it.
    """
    if document is not None and document.closing is not None:
        return StudyObjects([note_key(study_id)])  # the deletion goes on, and all else goes
    record, is_whole = _record_of(files, study_id, document)
    entries = [entry for entry in entries if entry.kind != COMPLETION]
    named = _named_work(record)
    if record is not None:
        entries = [entry for entry in entries if _is_promised(files, entry, named)]
    found = {(entry.kind, entry.work.id) for entry in entries}
    beside = [key for key in files.keys(study_folder(study_id)) if key != document_key(study_id)]
    if record is not None:
        beside = _without_unpromised(study_id, beside, found | _failed_submissions(record))
    keys = [entry.key for entry in entries] + beside
    is_whole = is_whole and named <= found
    for job in [key for key in beside if key.endswith(f"/{JOB}")]:
        item = work_item_key(job.removesuffix(f"/{JOB}"))
        if files.has(item):
            keys.append(item)
        elif not any(job.endswith(f"/{work_id}/{JOB}") for _, work_id in found):
            is_whole = False  # it was tried again just now
    keys += _parked(files, record)
    keys += _commitments(files, study_id)
    keys += _pointers(files, study_id, beside)
    return StudyObjects(keys, is_whole)


def _record_of(
    files: Files, study_id: str, document: StudyDocument | None
) -> tuple[StudyRecord | None, bool]:
    """Return the record of a study; False beside it where its rest is another by now."""
    record = None if document is None else document.record
    if record is None or record.rest is None:
        return record, True
    data = files.read(rest_key(study_id, record.rest.name))
    try:
        return with_rest(record, RecordRest.model_validate_json(data or b"")), True
    except ValidationError:
        return record, False


def _named_work(record: StudyRecord | None) -> set[tuple[str, str]]:
    """Return kind and id of the work that a document has as pending."""
    if record is None:
        return set()
    return {
        *((SUBMISSIONS, item.id) for item in record.pending),
        *((DELIVERIES, item.id) for item in record.deliveries if is_on_its_way(item)),
        *(
            (READINGS, item.work)
            for item in record.missing_readings
            if item.work and not item.failed
        ),
    }


def _failed_submissions(record: StudyRecord) -> set[tuple[str, str]]:
    return {(SUBMISSIONS, item.id) for item in record.failed}


def _is_promised(files: Files, entry: WorkEntry, named: set[tuple[str, str]]) -> bool:
    """Return False for an entry of work that is being promised, which its document is to name.

    No document names callbacks. What was tried and is named no more is done, and its sender may
    have yet to be told.
    """
    if entry.kind == CALLBACKS or (entry.kind, entry.work.id) in named:
        return True
    try:
        document = WorkDocument.model_validate_json(files.read(entry.key) or b"")
    except ValidationError:
        return False
    return document.tried_since is not None


def _without_unpromised(
    study_id: str, keys: Sequence[str], works: set[tuple[str, str]]
) -> list[str]:
    """Return the keys without files of submissions that are being promised, or are over."""
    folder = kept_folders(SUBMISSIONS, study_id)
    return [
        key
        for key in keys
        if not key.startswith(folder)
        or (SUBMISSIONS, key.removeprefix(folder).partition("/")[0]) in works
    ]


def _parked(files: Files, record: StudyRecord | None) -> Iterator[str]:
    """Yield the parked items that a document names, and the marks of those of dropped files."""
    if record is None:
        return
    if record.completion is not None and record.completion.held:
        item = work_item_key(held_key(record.study_id))
        if files.has(item):  # else its entry has it parked
            yield item
    for entry in record.open_images:
        if entry.parked is not None:
            yield item_key(entry.parked)
            yield from files.keys(f"{WAITING}{pair_beginning(entry.parked)}")


def _commitments(files: Files, study_id: str) -> Iterator[str]:
    """Yield the requests for storage commitment that archives were asked for, and the reports."""
    for key in files.keys(commitments_folder(study_id)):
        *_, transaction_uid, name = key.split("/")
        if name.partition(".")[2] == study_id:
            yield key
            if files.has(report := report_key(transaction_uid)):
                yield report


def names_another(files: Files, key: str, study_id: str) -> bool:
    """Return True for the pointer to an instance that names another study than this."""
    if not key.startswith(INSTANCES):
        return False
    try:
        pointer = InstancePointer.model_validate_json(files.read(key) or b"")
    except ValidationError:
        return False
    return pointer.study_id != study_id


def _pointers(files: Files, study_id: str, keys: Sequence[str]) -> Iterator[str]:
    """Yield the pointers to a study's instances, each of which has a mark there."""
    folder = pointers_folder(study_id)
    for mark in [key for key in keys if key.startswith(folder)]:
        key = pointer_key(mark.removeprefix(folder))
        try:
            pointer = InstancePointer.model_validate_json(files.read(key) or b"")
        except ValidationError:  # it is yet to be written, or damaged
            continue
        if pointer.study_id == study_id:
            yield key
