"""Opens the object store and the drop folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.app.lifespan.buckets import open_buckets
from gateway.dropfolder.objects import Inbox
from gateway.dropfolder.watched_folder.folder import WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger
from gateway.dropfolder.watched_folder.settled_files import DroppedFiles
from gateway.storage.folder import FolderStore
from gateway.storage.layout import IMAGES, RESULTS
from gateway.storage.presence import Presence
from gateway.studies.study import Route

if TYPE_CHECKING:
    from gateway.app.lifespan.context import LifespanContext
    from gateway.settings import Settings
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

# In the store's folder, where no object's name begins with a dot.
_PRESENCE = ".gateways"
_LEDGER = ".dropfolder/ledger.sqlite3"


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


def make_inbox(settings: Settings, objects: ObjectStore) -> Inbox:
    """Return the drop folder that is in `objects`."""
    in_bucket = settings.store.kind == "s3"
    return Inbox(
        objects,
        prefix=IMAGES if in_bucket else "",
        route=Route.EVENT if in_bucket else Route.FOLDER,
        image_bytes=settings.limits.body_bytes,
        metadata_bytes=settings.limits.metadata_bytes,
    )


def open_watched(context: LifespanContext) -> WatchedFolder | None:
    """Return the folder that studies are taken from, if there is one; the store is open."""
    settings, options = context.settings, context.settings.dropfolder
    if settings.store.kind != "folder" or not options.watch:
        return None
    ledger = Ledger(settings.store.folder / _LEDGER)
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
