"""Opens the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.audit.sinks import AuditFiles, AuditObjects
from gateway.audit.trail import Audit
from gateway.storage.s3 import S3Store, encryption, s3_client

if TYPE_CHECKING:
    from gateway.app.lifespan.context import Basis
    from gateway.audit.sinks import AuditSink


async def open_audit(basis: Basis) -> Audit:
    """What puts acts on record, in files or in a bucket of its own."""
    return Audit(await _sink(basis), basis.metrics, instance=basis.instance)


async def _sink(basis: Basis) -> AuditSink:
    audit, store = basis.settings.audit, basis.settings.store
    if audit.kind == "file":
        files = AuditFiles(audit.folder, file_bytes=audit.file_bytes)
        basis.stack.push_async_callback(files.close)
        return files
    client = await basis.stack.enter_async_context(
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
    return AuditObjects(bucket, instance=basis.instance)
