"""Puts the drop folder's parts together, and says what runs for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.app.lifespan.stores import make_inbox
from gateway.dropfolder.delivery_order import Lanes
from gateway.dropfolder.pairing import CLAIMS, Pairing
from gateway.dropfolder.superseding import Superseding
from gateway.dropfolder.watched_folder.collector import Collector
from gateway.dropfolder.watched_folder.settled_files import SettledFiles
from gateway.work.leases import CLOCK_SKEW_S, Claims
from gateway.work.periodic import Sweep, sweep_for_ever

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from gateway.app.lifespan.context import Basis
    from gateway.app.lifespan.pipeline import Way
    from gateway.app.lifespan.storage import Kept
    from gateway.audit.trail import Audit
    from gateway.dropfolder.objects import Inbox

# How long a delivery waits for the one that is at the same study now.
_PATIENCE_S = 5.0
# Images of the drop folder under way at once: one is worked on while others are fetched and stored.
_IMAGES_A_THREAD = 4


def make_pairing(
    basis: Basis, kept: Kept, way: Way, audit: Audit, inbox: Inbox | None = None
) -> Pairing:
    """The pairing over the drop folder, or over what an inbox shows of it.

    Its state lies in the store.
    """
    inbox = inbox or kept.inbox
    timeout_s = basis.settings.http.request_timeout_s
    return Pairing(
        inbox=inbox,
        objects=kept.objects,
        intake=way.intake,
        pipeline=way.pipeline,
        pictures=way.pictures,
        imaging=way.imaging,
        claims=Claims(
            kept.objects,
            root=CLAIMS,
            lease_s=timeout_s + CLOCK_SKEW_S,
            patience_s=_PATIENCE_S,
            presence=kept.presence,
        ),
        waiting=kept.waiting,
        parking=kept.parking,
        parked_images=kept.parked_images,
        deletion=kept.deletion,
        metrics=basis.metrics,
        pseudonyms=basis.pseudonyms,
        timeout_s=timeout_s,
        waiting_deadline_s=basis.settings.dropfolder.waiting_deadline_s,
        admission=way.admission,
        superseding=Superseding(
            inbox=inbox,
            imaging=way.imaging,
            results=kept.results,
            deletion=kept.deletion,
            admission=way.admission,
            audit=audit,
            pseudonyms=basis.pseudonyms,
        ),
        tracer=basis.tracer,
    )


def drop_folder_work(
    basis: Basis, kept: Kept, way: Way, pairing: Pairing, audit: Audit
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    """What runs beside the requests while there is a drop folder, by name."""
    settings, folder = basis.settings, kept.watched
    if folder is not None:
        # A person who has something tried again has seen to it that it is whole; nobody else has.
        files = SettledFiles(settings.dropfolder.folder, folder.is_whole)
        inbox = make_inbox(settings, files)
        pairing = make_pairing(basis, kept, way, audit, inbox)
        collector = Collector(
            pairing,
            inbox=inbox,
            lanes=Lanes(inbox, way.imaging),
            ledger=folder.ledger,
            audit=audit,
            at_once=_IMAGES_A_THREAD * settings.limits.image_threads,
        )
        yield "drop folder", collector.collect(folder.settled())
    if folder is not None or settings.store.kind == "s3":
        every_s = settings.dropfolder.sweep_s
        yield "sweep", sweep_for_ever(Sweep.DROP_FOLDER, pairing, audit, every_s)
