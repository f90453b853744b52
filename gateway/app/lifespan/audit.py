"""Opens the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.app.lifespan.buckets import open_buckets
from gateway.audit.sinks import AuditFiles, AuditObjects
from gateway.audit.trail import Audit

if TYPE_CHECKING:
    from gateway.app.lifespan.context import LifespanContext
    from gateway.audit.sinks import AuditSink


async def open_audit(context: LifespanContext) -> Audit:
    """Open the audit trail, in files or in a bucket of its own."""
    return Audit(await _sink(context), context.metrics, instance=context.instance)


async def _sink(context: LifespanContext) -> AuditSink:
    audit = context.settings.audit
    if audit.kind == "file":
        files = AuditFiles(audit.folder, file_bytes=audit.file_bytes)
        context.stack.push_async_callback(files.close)
        return files
    [bucket] = await open_buckets(context, audit.bucket)
    return AuditObjects(bucket, instance=context.instance)
