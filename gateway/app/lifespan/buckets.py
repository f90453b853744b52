"""Opens buckets of S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.storage.object_client import encryption
from gateway.storage.s3 import S3Store, s3_client

if TYPE_CHECKING:
    from gateway.app.lifespan.context import LifespanContext


async def open_buckets(context: LifespanContext, *names: str | None) -> list[S3Store]:
    """Return the buckets, which share a client that is open as long as the gateway."""
    store = context.settings.store
    client = await context.stack.enter_async_context(
        s3_client(
            region=store.region,
            endpoint=store.endpoint,
            connections=store.connections,
            timeout_s=store.timeout_s,
        )
    )
    written = encryption(store.sse, store.kms_key_id)
    return [
        S3Store(client, name or "", timeout_s=store.timeout_s, encryption=written) for name in names
    ]
