"""Copies of studies, each as it was at one moment.

A study's document is copied first, then what it names and what lies beside it, and then the
document is looked at again: a gateway changes it before it removes anything that it names. Where it
has changed, the study is copied once more; one that changes each time counts as unreadable in the
end. So all that a copied document names is in the copy, and the entries of its work agree with it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.backup.study_objects import (
    StudyObjects,
    names_another,
    study_document,
    study_objects,
    work_entries,
)
from gateway.results.completion import CompletionEntry, is_open
from gateway.results.deletion import deletion_folder
from gateway.results.keys import document_key, study_folder, withdrawn_study
from gateway.results.tombstones import last_deleted_at
from gateway.storage.documents import stored_form
from gateway.storage.layout import COMPLETION, RESULTS
from gateway.work.keys import WorkId, entry_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor

    from gateway.backup.files import CopiedFiles
    from gateway.backup.study_objects import WorkEntry
    from gateway.results.documents import StudyRecord

# Studies that are copied between two listings of the work: their documents are in memory.
_BATCH = 64
# At a study whose document stays as it is though something that it names is not found: that is on
# its way from one key to another, or lost in the store itself, as a verification tells.
_ATTEMPTS = 5
# At a study whose document changes each time.
_ROUNDS = 100


@dataclass(slots=True)
class _Study:
    """A study that is being copied.

    Parameters
    ----------
    study_id
        Its id, or the name of a withdrawal.
    data
        Bytes of its document as it was copied last; None where there was none.
    keys
        Keys of all else that was copied.
    gone
        Keys of what was copied before and not this time.
    attempts
        Number of those at this state of the document.
    rounds
        Number of all attempts.
    """

    study_id: str
    data: bytes | None = None
    keys: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    attempts: int = 0
    rounds: int = 0


class StudyCopies:
    """Copies of the studies of one part of a store.

    Parameters
    ----------
    files
        Objects of the part, and of its copy.
    threads
        Copy several studies at once.
    """

    def __init__(self, files: CopiedFiles, threads: Executor) -> None:
        self._files = files
        self._threads = threads

    def bring(
        self, study_ids: Sequence[str], on_studies: Callable[[int], None] = lambda _: None
    ) -> None:
        """Copy studies, or withdrawals of deleted ones by their names.

        Of a study that is being deleted the closing is copied with its note, so that the deletion
        goes on after a restore.

        Parameters
        ----------
        on_studies
            Told of the number of studies after each few that were copied.
        """
        for start in range(0, len(study_ids), _BATCH):
            batch = study_ids[start : start + _BATCH]
            studies = [_Study(study_id) for study_id in batch]
            while studies:
                list(self._threads.map(self._bring_document, studies))
                entries = work_entries(self._files.store)
                settled = self._threads.map(
                    lambda study, entries=entries: self._bring_objects(study, entries), studies
                )
                pairs = list(zip(studies, settled, strict=True))
                for study in studies:
                    self._remove_gone(study)
                studies = [study for study, is_settled in pairs if not is_settled]
            on_studies(len(batch))

    def end_deleted(self) -> None:
        """Take those out of the copy that were deleted since they were copied.

        They are copied anew: the deletion that is under way, or the study that came again.
        """
        gone = [each for each in self._files.copy.folders(RESULTS) if self._is_deleted(each)]
        if not gone:
            return
        entries = work_entries(self._files.copy)
        for study_id in gone:
            self._remove(study_id, entries.get(study_id, ()))
            for key in self._files.store.keys(deletion_folder(study_id)):
                self._files.bring(key)
        self.bring(gone)

    def _bring_document(self, study: _Study) -> None:
        key = document_key(study.study_id)
        before = study.data
        if not self._files.bring(key, anew=True):
            self._files.remove(key)
        study.data = self._files.copy.read(key)
        if study.data != before:
            study.attempts = 0

    def _bring_objects(self, study: _Study, entries: Mapping[str, Sequence[WorkEntry]]) -> bool:
        """Copy all but the document; return True if that has stayed as it is."""
        study.attempts += 1
        study.rounds += 1
        of_study = entries.get(study.study_id, ())
        document = study_document(study.data)
        found = StudyObjects([])
        if study.data is not None or withdrawn_study(study.study_id) is not None:
            found = study_objects(self._files.store, study.study_id, document, of_study)
        keys = {key for key in found.keys if self._files.bring(key)}
        is_whole = found.is_whole and len(keys) == len(set(found.keys))
        if document is not None and document.record is not None:
            entry = _completion_entry(document.record, of_study)
            if entry is not None:
                self._files.write(entry, stored_form(CompletionEntry()))
                keys.add(entry)
        study.gone = study.keys - keys  # such as an entry that has moved
        study.keys = keys
        key = document_key(study.study_id)
        if self._files.store.read(key) == study.data:
            return is_whole or study.attempts >= _ATTEMPTS
        if study.rounds < _ROUNDS:
            return False
        self._files.unreadable.add(key)
        return True

    def _remove_gone(self, study: _Study) -> None:
        """Remove what is gone, while nothing is copied: a pointer may be another study's by now."""
        for key in study.gone:
            if not names_another(self._files.copy, key, study.study_id):
                self._files.remove(key)

    def _is_deleted(self, study_id: str) -> bool:
        """Return True if a study was deleted since it was copied, though it may have come again."""
        key = document_key(study_id)
        if self._files.is_same(key):
            return False
        now = self._files.store.read(key)
        if now is None and self._files.store.is_gone(key):
            return True
        document, copied = study_document(now), study_document(self._files.copy.read(key))
        if document is None or copied is None:
            return False
        if document.closing is not None or copied.record is None:
            return True
        last = last_deleted_at(self._files.copy.keys(deletion_folder(study_id)))
        began = copied.record.received_at or copied.record.changed_at
        return last is not None and began <= last

    def _remove(self, study_id: str, entries: Sequence[WorkEntry]) -> None:
        """Take a study out of the copy."""
        copy = self._files.copy
        document = study_document(copy.read(document_key(study_id)))
        keys = {
            *study_objects(copy, study_id, document, entries).keys,
            *copy.keys(study_folder(study_id)),
            *(entry.key for entry in entries),
        }
        for key in keys:
            self._files.remove(key)


def _completion_entry(record: StudyRecord, entries: Sequence[WorkEntry]) -> str | None:
    """Return the key of a new entry of a study's completion; None where it is not to be looked at.

    It is due at once, in the place of one that moves while it is copied. Of a study that is held
    the parked item comes from it. One that is complete has its entry as long as its results are
    not promised to destinations, which its document alone does not tell.
    """
    completion = record.completion
    if completion is None:
        return None
    listed = {entry.work.id for entry in entries if entry.kind == COMPLETION}
    if not is_open(record) and not completion.held and completion.work not in listed:
        return None
    work = WorkId(record.study_id, completion.work)
    return entry_key(COMPLETION, work, dt.datetime.now(dt.UTC))
