"""Opens the DICOM listener, and follows its senders and certificates."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import structlog

from gateway.app.tls import CertificateError, ServedCertificate
from gateway.deferred.dicom_store import DicomStore
from gateway.dimse.commitment import StorageCommitment
from gateway.dimse.commitment_requests import CommitmentRequests
from gateway.dimse.instances import InstanceStore
from gateway.dimse.listener import DicomListener, DicomListenerError
from gateway.results.instances import Instances
from gateway.routing.senders import RoutingFileError, Senders, read_routing
from gateway.runtime.file_changes import changes
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.processing import Processing
    from gateway.app.lifespan.storage import StudyStorage
    from gateway.audit.trail import Audit
    from gateway.deferred.submissions import Submissions
    from gateway.settings import DimseSettings

log = structlog.get_logger()

# A thread that takes PDUs apart keeps the interpreter for so long when the event loop wants it;
# Python's own 5 ms would add up over a request (bench/dimse_load.py).
_SWITCH_S = 0.0005


async def open_dimse(
    context: LifespanContext,
    storage: StudyStorage,
    processing: Processing,
    submissions: Submissions,
    audit: Audit,
) -> DicomListener | None:
    """Open the listener, where there is to be one.

    Raises
    ------
    DicomListenerError
    """
    settings, routing_file = context.settings.dimse, context.settings.routing.file
    if not settings.is_on:
        return None
    certificate = _certificate(settings)
    instances = Instances(storage.objects)
    store = InstanceStore(
        DicomStore(
            processing.studies,
            submissions,
            processing.imaging,
            timeout_s=settings.store_timeout_s,
            keep_unaccepted=settings.unaccepted == "store",
        ),
        admission=processing.admission,
        audit=audit,
        instances=instances,
        timeout_s=settings.store_timeout_s,
    )
    commitments = CommitmentRequests(
        StorageCommitment(instances, storage.results, submissions), audit, context.metrics.dimse
    )
    try:
        senders = None if routing_file is None else Senders(read_routing(routing_file))
        listener = DicomListener(
            settings,
            store,
            commitments,
            senders=senders,
            context=lambda: None if certificate is None else certificate.context,
            metrics=context.metrics,
            on_fault=lambda: context.health.fail("DICOM listener"),
        )
    except RoutingFileError as error:
        raise DicomListenerError(
            f"the routing document {routing_file} cannot be used: {error}"
        ) from error
    except OSError as error:
        raise DicomListenerError(
            f"the gateway cannot listen for DICOM on {settings.host} port {settings.port}: "
            f"{error.strerror}. {PREFIX}DIMSE{DELIMITER}PORT chooses another port, "
            f"{PREFIX}DIMSE{DELIMITER}LISTEN=false none"
        ) from error
    sys.setswitchinterval(_SWITCH_S)
    listener.start()
    context.stack.push_async_callback(listener.close, context.settings.http.grace_period_s)
    if certificate is not None:
        await context.run("DICOM certificate", certificate.follow(context.metrics))
    if routing_file is not None:
        await context.run("senders", _follow(routing_file, listener, context))
    host, port = listener.address
    log.info("dimse.listening", host=host, port=port, tls=certificate is not None)
    return listener


def _certificate(settings: DimseSettings) -> ServedCertificate | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    try:
        return ServedCertificate(
            settings.tls_certificate,
            settings.tls_key,
            client_authorities=settings.tls_client_ca,
            name="dimse-certificate",
        )
    except CertificateError as error:
        raise DicomListenerError(f"DICOM's TLS cannot be used: {error}") from error


async def _follow(path: Path, listener: DicomListener, context: LifespanContext) -> None:
    """Take the file's senders whenever it changes; a broken one leaves the last good ones."""
    valid = context.metrics.dimse.routing_file_valid
    async for _ in changes([path]):
        try:
            senders = Senders(read_routing(path))
        except RoutingFileError as error:
            valid.set(0)
            log.exception("routing.file_broken", reason=str(error))
            continue
        listener.senders = senders
        valid.set(1)
        log.info("routing.senders_read", senders=len(senders))
