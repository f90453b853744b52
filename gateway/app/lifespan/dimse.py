"""Opens the DICOM listener, and follows its certificates."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.app.tls import CertificateError, ServedCertificate
from gateway.deferred.dicom_store import DicomStore
from gateway.dimse.commitment import StorageCommitment
from gateway.dimse.commitment_reports import CommitmentReports
from gateway.dimse.commitment_requests import CommitmentRequests
from gateway.dimse.commitment_work import OWED_FOR, OwedReport, SendReport
from gateway.dimse.instances import InstanceStore
from gateway.dimse.intake import DicomIntake
from gateway.dimse.listener import DicomListener, DicomListenerError
from gateway.dimse.report_sender import REPORT_S, ReportSender
from gateway.problems import problem_of
from gateway.results.instances import Instances
from gateway.settings import DELIMITER, PREFIX
from gateway.storage.layout import COMMITMENTS
from gateway.work.claims import CLOCK_SKEW_S, Claims
from gateway.work.entries import Entries
from gateway.work.parked_operations import ParkedWork
from gateway.work.states import WorkStates
from gateway.work.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.app.lifespan.context import LifespanContext
    from gateway.app.lifespan.processing import Processing
    from gateway.app.lifespan.storage import StudyStorage
    from gateway.audit.trail import Audit
    from gateway.deferred.submissions import Submissions
    from gateway.delivery.storage_commitment import Commitments
    from gateway.routing.in_force import Routes, Routing
    from gateway.routing.senders import Senders
    from gateway.settings import DimseSettings
    from gateway.work.parked_operations import ParkedOwner

log = structlog.get_logger()

# A thread that takes PDUs apart keeps the interpreter for so long when the event loop wants it;
# Python's own 5 ms would add up over a request (bench/dimse_load.py).
_SWITCH_S = 0.0005
# Each has a thread of its own, and waits most of its time.
_REPORTS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class DicomPart:
    """Parts for a tenant's DICOM senders, or for all where there are no tenants.

    Parameters
    ----------
    intake
        Takes what they send.
    worker
        Sends them their reports; to be run.
    owner
        Owner of its parked items.
    """

    intake: DicomIntake
    worker: Worker[OwedReport]
    owner: ParkedOwner


def make_dimse(
    context: LifespanContext,
    storage: StudyStorage,
    processing: Processing,
    submissions: Submissions,
    audit: Audit,
    *,
    routing: Routing,
    commitments: Commitments,
) -> DicomPart | None:
    """Return what takes instances from the listener; None where there is to be no listener.

    Parameters
    ----------
    commitments
        Storage commitment that archives are asked for.
    """
    settings = context.settings.dimse
    if not settings.is_on:
        return None
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
    reports = CommitmentReports(
        StorageCommitment(instances, storage.results, submissions), audit, context.metrics.dimse
    )
    entries, worker = _owed_reports(context, storage, reports, lambda: _senders(routing))
    requests = CommitmentRequests(reports, entries, worker, audit)
    owner = ParkedWork(storage.parking, entries, WorkStates(), worker)
    return DicomPart(DicomIntake(store, requests, commitments), worker, owner)


async def open_dimse(
    context: LifespanContext, intakes: Mapping[str | None, DicomIntake], routing: Routing
) -> None:
    """Open the listener, where there is to be one in this process.

    Parameters
    ----------
    intakes
        By tenant; none where there is to be no listener.
    routing
        The whole routing document.

    Raises
    ------
    DicomListenerError
    """
    if not intakes or not context.leads:
        return
    certificate = _certificate(context.settings.dimse)
    listener = _listener(context, intakes, certificate, routing)
    await _serve(context, listener, certificate)


def _senders(routing: Routing) -> Senders | None:
    return routing.routes.senders if routing.is_set else None


def _listener(
    context: LifespanContext,
    intakes: Mapping[str | None, DicomIntake],
    certificate: ServedCertificate | None,
    routing: Routing,
) -> DicomListener:
    settings = context.settings.dimse
    try:
        listener = DicomListener(
            settings,
            intakes,
            senders=_senders(routing),
            context=lambda: None if certificate is None else certificate.context,
            metrics=context.metrics,
            on_fault=lambda: context.health.fail("DICOM listener"),
        )
    except OSError as error:
        raise DicomListenerError(
            f"the gateway cannot listen for DICOM on {settings.host} port {settings.port}: "
            f"{error.strerror}. {PREFIX}DIMSE{DELIMITER}PORT chooses another port, "
            f"{PREFIX}DIMSE{DELIMITER}LISTEN=false none"
        ) from error

    def take(routes: Routes) -> None:
        listener.senders = routes.senders

    routing.follow(take)
    return listener


async def _serve(
    context: LifespanContext, listener: DicomListener, certificate: ServedCertificate | None
) -> None:
    """Start the listener, and follow its certificate."""
    sys.setswitchinterval(_SWITCH_S)
    listener.start()
    context.stack.push_async_callback(listener.close, context.settings.http.grace_period_s)
    if certificate is not None:
        await context.run("DICOM certificate", certificate.follow(context.metrics))
    host, port = listener.address
    log.info("dimse.listening", host=host, port=port, tls=certificate is not None)


def _owed_reports(
    context: LifespanContext,
    storage: StudyStorage,
    reports: CommitmentReports,
    senders: Callable[[], Senders | None],
) -> tuple[Entries[OwedReport], Worker[OwedReport]]:
    """Return the reports on storage commitment that are owed, and what sends them."""
    gauge = context.metrics.dimse.owed_reports
    entries = Entries(
        storage.objects,
        kind=COMMITMENTS,
        document=OwedReport,
        claims=Claims(lease_s=REPORT_S + CLOCK_SKEW_S, presence=storage.presence),
    )
    worker = Worker(
        entries,
        WorkStates(),
        SendReport(reports, ReportSender(context.settings.dimse), senders),
        parking=storage.parking,
        problem_of=problem_of,
        count=context.counting("owed reports", lambda came: gauge.set(len(came))),
        at_once=_REPORTS_AT_ONCE,
        timeout_s=REPORT_S,
        sweep_s=context.settings.pending.sweep_s,
        give_up_s=2 * OWED_FOR.total_seconds(),  # the job gives up before
    )
    return entries, worker


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
