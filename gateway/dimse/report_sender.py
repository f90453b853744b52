"""Reports on storage commitment, each on an association that the gateway asks for."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_role

from gateway.delivery.associations import Requestor, rejection_of
from gateway.dimse.commitment_messages import PUSH_MODEL, PUSH_MODEL_INSTANCE
from gateway.errors import ReportUnansweredError

if TYPE_CHECKING:
    from gateway.dimse.commitment_messages import CommitmentReport
    from gateway.schemas.routing import Sender
    from gateway.settings import DimseSettings

_CONNECT_S = 5.0
_ANSWER_S = 15.0
"""Longest time that a report takes: both, and one of the association's negotiation."""
REPORT_S = _CONNECT_S + 3 * _ANSWER_S


class ReportSender:
    """Client of senders that take reports, at the addresses that the routing document has.

    Parameters
    ----------
    settings
        The listener's title, certificate and authorities.
    """

    def __init__(self, settings: DimseSettings) -> None:
        self._settings = settings

    def send(self, sender: Sender, address: str, report: CommitmentReport) -> int:
        """Return the status of the answer; blocks until it is there.

        Parameters
        ----------
        sender
            With an address for reports.
        address
            Address that its request came from.

        Raises
        ------
        ReportUnansweredError
        """
        reports = sender.storage_commitment
        if reports is None or reports.port is None:
            raise ReportUnansweredError("its entry in the routing document has no port")
        entity = Requestor(self._settings.ae_title)
        entity.connection_timeout = _CONNECT_S
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _ANSWER_S
        entity.add_requested_context(PUSH_MODEL, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        association = entity.associate(
            reports.host or address,
            reports.port,
            ae_title=sender.ae_title,
            # The gateway asks for the association, and provides the service (PS3.4, J.3.3).
            ext_neg=[build_role(PUSH_MODEL, scp_role=True)],
            tls_args=(self._context(), reports.host or address) if reports.tls else None,
        )
        if not association.is_established:
            rejected = rejection_of(association) is not None
            reason = "it rejected the association" if rejected else "no association"
            raise ReportUnansweredError(reason)
        try:
            if not association.accepted_contexts:
                raise ReportUnansweredError("it takes no reports on storage commitment")
            status, _ = association.send_n_event_report(
                report.information(), report.event_type, PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
            if "Status" not in status:
                raise ReportUnansweredError("it did not answer")
            return int(status.Status)
        except (RuntimeError, ValueError) as error:  # the association was aborted meanwhile
            raise ReportUnansweredError("it aborted the association") from error
        finally:
            if association.is_established:
                association.release()

    def _context(self) -> ssl.SSLContext:
        """Return the TLS context of a connection; certificates name applications, not hosts.

        Raises
        ------
        ReportUnansweredError
            The files cannot be read.
        """
        settings = self._settings
        try:
            context = ssl.create_default_context(cafile=settings.tls_client_ca)
            context.check_hostname = False
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if settings.tls_certificate is not None:
                context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        except OSError as error:
            raise ReportUnansweredError("the certificate of the listener is unusable") from error
        return context
