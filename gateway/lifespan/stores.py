"""Opens the object store, and the drop folder's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.clients.folder import FolderStore
from gateway.clients.s3 import S3Store, encryption, s3_client
from gateway.services.results import ROOT as RESULTS

if TYPE_CHECKING:
    from gateway.clients.protocols import ObjectStore
    from gateway.lifespan.basis import Basis

# Where the drop folder lies in its bucket.
IMAGES = "images/"


async def open_stores(basis: Basis) -> tuple[ObjectStore, ObjectStore]:
    """The store of all that is kept, and the drop folder's."""
    store = basis.settings.store
    if store.kind == "folder":
        folder = FolderStore(store.folder)
        await folder.open()
        # Never opened, which would write to it: the drop folder is its senders'.
        return folder, FolderStore(basis.settings.dropfolder.folder)
    client = await basis.stack.enter_async_context(
        s3_client(
            region=store.region,
            endpoint=store.endpoint,
            connections=store.connections,
            timeout_s=store.timeout_s,
        )
    )
    results, images = (
        S3Store(
            client,
            bucket,
            timeout_s=store.timeout_s,
            encryption=encryption(store.sse, store.kms_key_id),
        )
        for bucket in (store.results_bucket or "", store.images_bucket or "")
    )
    await results.open(RESULTS)
    await images.open(IMAGES)
    return results, images
