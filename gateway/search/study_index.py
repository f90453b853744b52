"""The index of one store, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.search.days import DayIndex
from gateway.search.entry_removal import EntryRemoval
from gateway.search.hash_key import HashKey
from gateway.search.index_search import IndexSearch
from gateway.search.index_writer import IndexWriter
from gateway.search.pointers import Pointers
from gateway.search.reconciliation import Reconciliation

if TYPE_CHECKING:
    from gateway.results.study_documents import StudyDocuments
    from gateway.search.changed_studies import ChangedStudies
    from gateway.search.query import StudySearch
    from gateway.storage.protocol import ObjectStore


class StudyIndex:
    """Parts of the index that a gateway uses.

    Parameters
    ----------
    objects, documents
        The store, and the studies on it.
    changed
        Studies that this gateway has changed.

    Attributes
    ----------
    search
        Finds studies.
    writer
        Writes their entries; to be run.
    removal
        Removes them.
    reconciliation
        Holds the index to the documents; to be run.
    """

    def __init__(
        self, objects: ObjectStore, documents: StudyDocuments, changed: ChangedStudies
    ) -> None:
        self.days = DayIndex(objects)
        self.pointers = Pointers(objects, HashKey(objects))
        self.search: StudySearch = IndexSearch(self.days, self.pointers, documents)
        self.removal = EntryRemoval(self.days, self.pointers, changed)
        self.writer = IndexWriter(changed, documents, self.days, self.pointers, self.removal)
        self.reconciliation = Reconciliation(
            objects, documents, self.days, self.pointers, self.writer
        )
