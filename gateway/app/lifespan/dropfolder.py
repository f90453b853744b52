"""Puts the drop folder's parts together, and says what runs for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.app.lifespan.stores import make_inbox
from gateway.dropfolder.delivery_order import Lanes
from gateway.dropfolder.pairing import LEASES, Pairing
from gateway.dropfolder.superseding import Superseding
from gateway.dropfolder.watched_folder.collector import Collector
from gateway.dropfolder.watched_folder.settled_files import SettledFiles
from gateway.work.leases import CLOCK_SKEW_S, Leases
from gateway.work.periodic import Sweep, sweep_for_ever

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.processing import Processing
    from gateway.app.lifespan.storage import StudyStorage
    from gateway.audit.trail import Audit
    from gateway.dropfolder.objects import Inbox

# How long a delivery waits for the one that is at the same study now.
_PATIENCE_S = 5.0
# Images of the drop folder under way at once: one is worked on while others are fetched and stored.
_IMAGES_A_THREAD = 4


def make_pairing(
    context: LifespanContext,
    storage: StudyStorage,
    processing: Processing,
    audit: Audit,
    inbox: Inbox | None = None,
) -> Pairing:
    """The pairing over the drop folder, or over what an inbox shows of it.

    Its state lies in the store.
    """
    inbox = inbox or storage.inbox
    timeout_s = context.settings.http.request_timeout_s
    return Pairing(
        inbox=inbox,
        objects=storage.objects,
        intake=processing.intake,
        pipeline=processing.pipeline,
        pictures=processing.pictures,
        imaging=processing.imaging,
        leases=Leases(
            storage.objects,
            root=LEASES,
            lease_s=timeout_s + CLOCK_SKEW_S,
            patience_s=_PATIENCE_S,
            presence=storage.presence,
        ),
        waiting=storage.waiting,
        parking=storage.parking,
        parked_images=storage.parked_images,
        deletion=storage.deletion,
        metrics=context.metrics,
        pseudonyms=context.pseudonyms,
        timeout_s=timeout_s,
        waiting_deadline_s=context.settings.dropfolder.waiting_deadline_s,
        admission=processing.admission,
        superseding=Superseding(
            inbox=inbox,
            imaging=processing.imaging,
            results=storage.results,
            deletion=storage.deletion,
            admission=processing.admission,
            audit=audit,
            pseudonyms=context.pseudonyms,
        ),
        tracer=context.tracer,
    )


def drop_folder_work(
    context: LifespanContext,
    storage: StudyStorage,
    processing: Processing,
    pairing: Pairing,
    audit: Audit,
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    """What runs beside the requests while there is a drop folder, by name."""
    settings, folder = context.settings, storage.watched
    if folder is not None:
        # A person who has something tried again has seen to it that it is whole; nobody else has.
        files = SettledFiles(settings.dropfolder.folder, folder.is_whole)
        inbox = make_inbox(settings, files)
        pairing = make_pairing(context, storage, processing, audit, inbox)
        collector = Collector(
            pairing,
            inbox=inbox,
            lanes=Lanes(inbox, processing.imaging),
            ledger=folder.ledger,
            audit=audit,
            at_once=_IMAGES_A_THREAD * settings.limits.image_threads,
        )
        yield "drop folder", collector.collect(folder.settled())
    if folder is not None or settings.store.kind == "s3":
        every_s = settings.dropfolder.sweep_s
        yield "sweep", sweep_for_ever(Sweep.DROP_FOLDER, pairing, audit, every_s)
