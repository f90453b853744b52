"""Puts the drop folder's parts together, and says what runs for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.clients.dropfolder import WatchedFolder
from gateway.lifespan.stores import IMAGES
from gateway.services.claims import CLOCK_SKEW_S, Claims
from gateway.services.collecting import collect, sweep_for_ever
from gateway.services.inbox import Inbox
from gateway.services.pairing import CLAIMS, Pairing
from gateway.services.study import Route

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from opentelemetry.trace import Tracer

    from gateway.clients.protocols import ObjectStore
    from gateway.logs import Pseudonyms
    from gateway.metrics import Metrics
    from gateway.services.admission import Admission
    from gateway.services.audit import Audit
    from gateway.services.deletion import Deletion
    from gateway.services.imaging import Imaging
    from gateway.services.intake import Intake
    from gateway.services.parking import Parking
    from gateway.services.pictures import Pictures
    from gateway.services.pipeline import Pipeline
    from gateway.services.waiting import WaitingRoom
    from gateway.settings import Settings

# How long a delivery waits for the one that is at the same study now.
_PATIENCE_S = 5.0
# Images of the drop folder under way at once: one is worked on while others are fetched and stored.
_IMAGES_A_THREAD = 4


def make_pairing(
    settings: Settings,
    objects: ObjectStore,
    inbox: Inbox,
    *,
    intake: Intake,
    pipeline: Pipeline,
    pictures: Pictures,
    imaging: Imaging,
    waiting: WaitingRoom,
    admission: Admission,
    parking: Parking,
    deletion: Deletion,
    metrics: Metrics,
    pseudonyms: Pseudonyms,
    tracer: Tracer,
) -> Pairing:
    """The pairing over the drop folder, with its state in `objects`."""
    timeout_s = settings.http.request_timeout_s
    return Pairing(
        inbox=inbox,
        objects=objects,
        intake=intake,
        pipeline=pipeline,
        pictures=pictures,
        imaging=imaging,
        claims=Claims(
            objects,
            root=CLAIMS,
            lease_s=timeout_s + CLOCK_SKEW_S,
            patience_s=_PATIENCE_S,
        ),
        waiting=waiting,
        parking=parking,
        deletion=deletion,
        metrics=metrics,
        pseudonyms=pseudonyms,
        timeout_s=timeout_s,
        waiting_deadline_s=settings.dropfolder.waiting_deadline_s,
        admission=admission,
        tracer=tracer,
    )


def make_inbox(settings: Settings, objects: ObjectStore) -> Inbox:
    """The drop folder that is in `objects`."""
    in_bucket = settings.store.kind == "s3"
    return Inbox(
        objects,
        prefix=IMAGES if in_bucket else "",
        route=Route.EVENT if in_bucket else Route.FOLDER,
        image_bytes=settings.limits.body_bytes,
        metadata_bytes=settings.limits.metadata_bytes,
    )


def drop_folder_work(
    settings: Settings, pairing: Pairing, audit: Audit
) -> Iterator[tuple[str, Coroutine[object, object, object]]]:
    """What runs beside the requests while there is a drop folder, by name."""
    watched = settings.store.kind == "folder" and settings.dropfolder.watch
    if watched:
        folder = WatchedFolder(settings.dropfolder.folder, settle_s=settings.dropfolder.settle_s)
        at_once = _IMAGES_A_THREAD * settings.limits.image_threads
        yield "drop folder", collect(folder.settled(), pairing, audit, at_once=at_once)
    if watched or settings.store.kind == "s3":
        yield "sweep", sweep_for_ever(pairing, audit, settings.dropfolder.sweep_s)
