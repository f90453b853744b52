"""Makes what is kept of studies: all of it lies in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.app.lifespan.stores import part_of_drop_folder, part_of_store
from gateway.dropfolder.pair_records import PairRecords
from gateway.dropfolder.parked_objects import ParkedAndWaiting
from gateway.dropfolder.waiting import WaitingHalves
from gateway.problems import problem_of
from gateway.results.completion import Completions
from gateway.results.deletion import Deletion
from gateway.results.held_studies import HeldStudies
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.results.submissions import StudySubmissions
from gateway.search.changed_studies import ChangedStudies
from gateway.search.study_index import StudyIndex
from gateway.work.claims import CLOCK_SKEW_S
from gateway.work.parked import Parking

if TYPE_CHECKING:
    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.stores import Stores
    from gateway.dropfolder.objects import Inbox
    from gateway.dropfolder.watched_folder.folder import WatchedFolder
    from gateway.routing.in_force import Routing
    from gateway.storage.presence import Presence
    from gateway.storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class StudyStorage:
    """The stores of all that is kept of studies, and the drop folder that they come from.

    Parameters
    ----------
    objects
        The store that all of it lies in.
    documents
        State of each study.
    index
        The studies on it, searched.
    presence
        Tells which gateways on the store run, where it can be told.
    watched
        The drop folder, where it is one that this gateway watches.
    """

    objects: ObjectStore
    results: ResultStore
    parking: Parking
    records: PairRecords
    inbox: Inbox
    deletion: Deletion
    submissions: StudySubmissions
    completions: Completions
    held: HeldStudies
    documents: StudyDocuments
    index: StudyIndex
    presence: Presence | None
    watched: WatchedFolder | None


def make_storage(context: LifespanContext, stores: Stores, routing: Routing) -> StudyStorage:
    """Return all that is kept of studies, in the part of the store that is open to the context.

    Parameters
    ----------
    routing
        The whole routing document.
    """
    objects = part_of_store(context, stores)
    parking, waiting = Parking(objects, problem_of), WaitingHalves(objects)
    inbox = part_of_drop_folder(context, stores.dropped, routing)
    changed = ChangedStudies()
    documents = StudyDocuments(objects, changed=changed.note)
    index = StudyIndex(objects, documents, changed)
    deletion = Deletion(
        objects,
        documents,
        footprint=ParkedAndWaiting(parking, waiting, inbox),
        entries=index.removal,
        closed_s=context.settings.http.request_timeout_s + CLOCK_SKEW_S,
        metrics=context.metrics,
        pseudonyms=context.pseudonyms,
    )
    results, held = ResultStore(objects, documents), HeldStudies(documents, parking)
    return StudyStorage(
        objects,
        results,
        parking,
        PairRecords(inbox, waiting, parking, results, deletion),
        inbox,
        deletion,
        StudySubmissions(documents),
        Completions(
            objects,
            documents,
            quiet_s=context.settings.completion.quiet_s,
            routes=context.settings.completion.routes,
            held=held,
            metrics=context.metrics,
            pseudonyms=context.pseudonyms,
        ),
        held=held,
        documents=documents,
        index=index,
        presence=stores.presence,
        watched=stores.watched,
    )
