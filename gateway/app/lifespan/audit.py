"""Opens the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audit.sinks import AuditFiles, AuditObjects
from gateway.audit.trail import Audit
from gateway.storage.s3 import S3Store, encryption, s3_client

if TYPE_CHECKING:
    from gateway.app.lifespan.context import LifespanContext
    from gateway.audit.sinks import AuditSink


async def open_audit(context: LifespanContext) -> Audit:
    """What puts acts on record, in files or in a bucket of its own."""
    return Audit(await _sink(context), context.metrics, instance=context.instance)


async def _sink(context: LifespanContext) -> AuditSink:
    audit, store = context.settings.audit, context.settings.store
    if audit.kind == "file":
        files = AuditFiles(audit.folder, file_bytes=audit.file_bytes)
        context.stack.push_async_callback(files.close)
        return files
    client = await context.stack.enter_async_context(
        s3_client(
            region=store.region,
            endpoint=store.endpoint,
            connections=store.connections,
            timeout_s=store.timeout_s,
        )
    )
    bucket = S3Store(
        client,
        audit.bucket or "",
        timeout_s=store.timeout_s,
        encryption=encryption(store.sse, store.kms_key_id),
    )
    return AuditObjects(bucket, instance=context.instance)
