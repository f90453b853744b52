"""Puts the drop folder's parts together, and says what runs for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.app.lifespan.stores import make_inbox, part_of_drop_folder
from gateway.dropfolder.binding import Bindings
from gateway.dropfolder.delivery import DropFolder
from gateway.dropfolder.delivery_order import DeliveryOrder
from gateway.dropfolder.dropped_images import DroppedImages
from gateway.dropfolder.dropped_lanes import DroppedLanes
from gateway.dropfolder.lone_halves import LoneHalves
from gateway.dropfolder.outcome import Outcomes
from gateway.dropfolder.pair_turns import PairTurns
from gateway.dropfolder.pairing import Pairing
from gateway.dropfolder.superseding import Superseding
from gateway.dropfolder.sweep import DropFolderSweep
from gateway.dropfolder.watched_folder.collector import Collector
from gateway.dropfolder.watched_folder.settled_files import SettledFiles
from gateway.work.periodic import Sweep, sweep_for_ever

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.processing import Engine, Processing
    from gateway.app.lifespan.storage import StudyStorage
    from gateway.app.lifespan.stores import Stores
    from gateway.audit.trail import Audit
    from gateway.dropfolder.objects import Inbox
    from gateway.dropfolder.tenants import ObjectIntake
    from gateway.routing.in_force import Routing

# Images of the drop folder under way at once: one is worked on while others are fetched and stored.
_IMAGES_A_THREAD = 4


def make_drop_folder(
    context: LifespanContext,
    storage: StudyStorage,
    processing: Processing,
    audit: Audit,
    *,
    turns: PairTurns | None = None,
    inbox: Inbox | None = None,
) -> DropFolder:
    """Put the drop folder together, or what an inbox shows of it; its state lies in the store."""
    inbox, turns = inbox or storage.inbox, turns or PairTurns()
    imaging, admission, records = processing.imaging, processing.admission, storage.records
    outcomes = Outcomes(inbox, context.metrics, context.pseudonyms)
    images = DroppedImages(
        processing.studies,
        inbox=inbox,
        bindings=Bindings(storage.objects, storage.results, storage.deletion),
        records=records,
        outcomes=outcomes,
        imaging=imaging,
        pictures=processing.pictures,
        routing=processing.routing,
    )
    superseding = Superseding(
        inbox=inbox,
        imaging=imaging,
        results=storage.results,
        admission=admission,
        audit=audit,
        pseudonyms=context.pseudonyms,
    )
    pairing = Pairing(
        images,
        inbox=inbox,
        records=records,
        superseding=superseding,
        turns=turns,
        admission=admission,
        timeout_s=context.settings.http.request_timeout_s,
        tracer=context.tracer,
        quota=processing.quota,
    )
    lone_halves = LoneHalves(inbox, imaging, records, admission)
    return DropFolder(inbox, pairing, turns, records, lone_halves, outcomes)


def make_settled_folder(
    context: LifespanContext,
    storage: StudyStorage,
    processing: Processing,
    folder: DropFolder,
    audit: Audit,
    *,
    routing: Routing,
) -> DropFolder:
    """Return what of a drop folder is taken without anybody's asking: files that are whole.

    A person who has something tried again has seen to it that it is whole; nobody else has.

    Parameters
    ----------
    routing
        The whole routing document.
    """
    watched = storage.watched
    if watched is None:
        return folder
    files = SettledFiles(context.settings.dropfolder.folder, watched.is_whole)
    inbox = part_of_drop_folder(context, files, routing)
    return make_drop_folder(context, storage, processing, audit, turns=folder.turns, inbox=inbox)


def collector_work(
    context: LifespanContext,
    stores: Stores,
    engine: Engine,
    deliveries: ObjectIntake,
    audit: Audit,
    *,
    routing: Routing,
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    """Yield the task that brings the files of a watched folder; none where none is watched.

    Parameters
    ----------
    routing
        The whole routing document.
    """
    settings, watched = context.settings, stores.watched
    if watched is None:
        return
    inbox = make_inbox(settings, SettledFiles(settings.dropfolder.folder, watched.is_whole))
    collector = Collector(
        deliveries,
        inbox=inbox,
        order=DeliveryOrder(inbox, engine.imaging),
        lanes=DroppedLanes(inbox, routing),
        ledger=watched.ledger,
        audit=audit,
        at_once=_IMAGES_A_THREAD * settings.limits.image_threads,
    )
    yield "drop folder", collector.collect(watched.settled())


def drop_folder_work(
    context: LifespanContext, storage: StudyStorage, folder: DropFolder, audit: Audit
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    """Yield the background tasks of the drop folder, each with its name; none without one.

    Parameters
    ----------
    folder
        See `make_settled_folder`.
    """
    settings = context.settings
    if storage.watched is not None or settings.store.kind == "s3":
        keep_waiting = context.metrics.dropfolder.keep_waiting
        sweep = DropFolderSweep(
            folder,
            waiting_deadline_s=settings.dropfolder.waiting_deadline_s,
            count=context.counting("waiting halves", keep_waiting),
        )
        every_s = settings.dropfolder.sweep_s
        yield "sweep", sweep_for_ever(Sweep.DROP_FOLDER, sweep, audit, every_s)
