"""Opens the object store and the drop folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.app.lifespan.buckets import open_buckets
from gateway.dropfolder.objects import Inbox
from gateway.dropfolder.watched_folder.folder import WatchedFolder
from gateway.dropfolder.watched_folder.ledger import LEDGER, Ledger
from gateway.dropfolder.watched_folder.settled_files import DroppedFiles
from gateway.storage.folder import FolderStore
from gateway.storage.layout import IMAGES, RESULTS
from gateway.storage.presence import Presence
from gateway.storage.tenant_store import TenantStore
from gateway.studies.study import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.app.lifespan.context import LifespanContext
    from gateway.routing.in_force import Routing
    from gateway.settings import Settings
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

# In the store's folder, where no object's name begins with a dot.
_PRESENCE = ".gateways"


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores that the gateway stands on, whole: of all tenants.

    Parameters
    ----------
    objects, dropped
        The store of all that is kept, and the drop folder's.
    presence
        Tells which gateways on the store run, where it can be told.
    watched
        The drop folder, where it is one that this gateway watches.
    """

    objects: ObjectStore
    dropped: ObjectStore
    presence: Presence | None
    watched: WatchedFolder | None


async def open_all_stores(context: LifespanContext) -> Stores:
    """Open the stores that the settings name.

    Raises
    ------
    StoreUnavailableError
    """
    objects, dropped = await open_stores(context)
    watched = open_watched(context)
    return Stores(objects, dropped, open_presence(context), watched)


async def open_stores(context: LifespanContext) -> tuple[ObjectStore, ObjectStore]:
    """Return the store of all that is kept, and the drop folder's."""
    store = context.settings.store
    if store.kind == "folder":
        folder = FolderStore(store.folder)
        await folder.open()
        # Never opened, which would write to it: the drop folder is its senders'.
        return folder, DroppedFiles(context.settings.dropfolder.folder)
    results, images = await open_buckets(context, store.results_bucket, store.images_bucket)
    await results.open(RESULTS)
    await images.open(IMAGES)
    return results, images


def open_presence(context: LifespanContext) -> Presence | None:
    """Return the presence of this gateway in the store's folder, which is open.

    None in a bucket.
    """
    store = context.settings.store
    if store.kind != "folder":
        return None
    try:
        presence = Presence(store.folder / _PRESENCE)
    except OSError as error:  # such as of a file server without locks
        log.warning("store.without_locks", error=error.strerror)
        return None
    context.stack.callback(presence.close)
    return presence


def part_of_store(context: LifespanContext, stores: Stores) -> ObjectStore:
    """Return the part of the store that is open to the context: a tenant's, or all of it."""
    if context.settings.tenancy.is_on:
        return TenantStore(stores.objects, context.tenant)
    return stores.objects


def tenant_of_object(settings: Settings, routing: Routing, key: str) -> str | None:
    """Return the tenant of an object of the drop folder; None where it is nobody's."""
    path = key.removeprefix(_prefix(settings))
    return routing.routes.senders.tenant_of_object(path)


def part_of_drop_folder(context: LifespanContext, objects: ObjectStore, routing: Routing) -> Inbox:
    """Return what a context shows of the drop folder in `objects`: a tenant's folders, or all.

    Parameters
    ----------
    routing
        The whole document: of all folders that fit an object the longest counts, whoever has it.
    """
    if not context.settings.tenancy.is_on:
        return make_inbox(context.settings, objects)
    tenant = context.tenant

    def is_ours(path: str) -> bool:
        return tenant is not None and routing.routes.senders.tenant_of_object(path) == tenant

    return make_inbox(context.settings, objects, is_ours)


def make_inbox(
    settings: Settings, objects: ObjectStore, is_ours: Callable[[str], bool] | None = None
) -> Inbox:
    """Return the drop folder that is in `objects`; see `Inbox`."""
    in_bucket = settings.store.kind == "s3"
    return Inbox(
        objects,
        prefix=_prefix(settings),
        route=Route.EVENT if in_bucket else Route.FOLDER,
        image_bytes=settings.limits.body_bytes,
        metadata_bytes=settings.limits.metadata_bytes,
        is_ours=is_ours,
    )


def _prefix(settings: Settings) -> str:
    return IMAGES if settings.store.kind == "s3" else ""


def open_watched(context: LifespanContext) -> WatchedFolder | None:
    """Return the folder that studies are taken from, if there is one; the store is open."""
    settings, options = context.settings, context.settings.dropfolder
    if settings.store.kind != "folder" or not options.watch or not context.leads:
        return None
    ledger = Ledger(settings.store.folder / LEDGER)
    context.stack.callback(ledger.close)
    return WatchedFolder(
        options.folder,
        ledger=ledger,
        settle_s=options.settle_s,
        doubtful_settle_s=options.doubtful_settle_s,
        rescan_s=options.sweep_s,
        poll_s=options.poll_s,
        polling=options.polling,
    )
