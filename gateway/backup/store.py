"""Backup of a folder store while gateways use it.

Nothing in the copy names what is not in it, and no deleted study comes back. Each study is copied
as it was at one moment (`gateway.backup.studies`); the order of the rest follows from what names
what:

1. the ledger of the watched folder, older than all that it speaks of;
2. studies, with the entries of their work and their parked items;
3. tombstones, after all studies: one that was deleted meanwhile goes from the copy;
4. withdrawals of those studies whose deletion is in the copy;
5. dropped files that are parked or wait;
6. the rest, which names no study.

The search index is left out: it is made anew of the documents.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from gateway.backup.dropped_files import bring_dropped_files, bring_ledger
from gateway.backup.files import CopiedFiles, Files
from gateway.backup.studies import StudyCopies
from gateway.backup.study_objects import study_document
from gateway.results.deletion import deletion_folder
from gateway.results.keys import document_key, withdrawn_study
from gateway.storage import layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Copies wait for the disk, which takes several requests at once.
_THREADS = 8
_PLAIN = (
    layout.ROLL_BACKS,
    layout.CANARIES,
    layout.QUOTAS,
    layout.COMMITMENTS,
    layout.ACCEPTANCES,
    layout.ROUTING,
    layout.MINUTES,
    layout.MODELS,  # after the minutes: a model's health says which of them it has merged
)


class Copied(NamedTuple):
    """Number of what was copied.

    Parameters
    ----------
    studies, objects, bytes
        Of all tenants.
    unreadable
        Objects that the copy lacks, as the disk does not give them or they changed as long as they
        were copied, and folders that the disk does not list.
    """

    studies: int
    objects: int
    bytes: int
    unreadable: int


class StoreBackup:
    """The backup of a folder store, of all tenants.

    Parameters
    ----------
    store, copy
        Folders of the store, and of the copy, which is made.
    """

    def __init__(self, store: Path, copy: Path) -> None:
        self._store = store
        self._copy = copy
        tenants = [layout.tenant_prefix(name) for name in Files(store).folders(layout.TENANTS)]
        self._parts = [
            CopiedFiles(Files(store, prefix, unlisted=set()), Files(copy, prefix))
            for prefix in ("", *tenants)
        ]

    def count(self) -> int:
        """Return the number of studies that there are to be copied."""
        return sum(len(part.store.folders(layout.RESULTS)) for part in self._parts)

    def make(self, on_studies: Callable[[int], None]) -> Copied:
        """Copy the store, and return what was copied; nothing of it is forced to disk yet.

        Parameters
        ----------
        on_studies
            Told of the number of studies after each few that were copied.

        Raises
        ------
        OSError
            The store cannot be listed, or the copy not be written.
        """
        whole = self._parts[0]
        whole.make_folder("")
        bring_ledger(whole)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="backup") as threads:
            for part in self._parts:
                _bring_part(part, StudyCopies(part, threads), on_studies)
        return self._copied()

    def _copied(self) -> Copied:
        copy = Files(self._copy)
        sizes = [status.st_size for status in map(copy.status, copy.keys("")) if status is not None]
        return Copied(
            studies=sum(len(part.copy.folders(layout.RESULTS)) for part in self._parts),
            objects=len(sizes),
            bytes=sum(sizes),
            unreadable=sum(part.lacking for part in self._parts),
        )


def _bring_part(
    files: CopiedFiles, studies: StudyCopies, on_studies: Callable[[int], None]
) -> None:
    """Copy the part of a tenant, or the store's own."""
    studies.bring(files.store.folders(layout.RESULTS), on_studies)
    files.bring_all(layout.DELETED)
    studies.end_deleted()
    withdrawals = files.store.folders(layout.WITHDRAWALS)
    studies.bring([name for name in withdrawals if _has_deletion(files.copy, name)])
    bring_dropped_files(files)
    for prefix in _PLAIN:
        files.bring_all(prefix)


def _has_deletion(copy: Files, withdrawal: str) -> bool:
    """Return True if the copy has the deletion that a withdrawal is of: over, or under way.

    Else the study lives in the copy, and is to be deleted again after a restore.
    """
    study_id = withdrawn_study(withdrawal)
    if study_id is None:
        return False
    deleted_at = withdrawal.rpartition(layout.WITHDRAWN)[2]
    if copy.has(f"{deletion_folder(study_id)}{deleted_at}.json"):
        return True
    document = study_document(copy.read(document_key(study_id)))
    closing = None if document is None else document.closing
    return closing is not None and closing.withdrawal == withdrawal
