"""C-ECHO with a DICOM application, and what its rejections mean.

References
----------
DICOM PS3.8, 9.3.4 (rejections); PS3.7, 9.1.5 (C-ECHO).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time

from gateway.delivery.associations import Requestor, rejection_of
from gateway.doctor.findings import FaultError, Side

if TYPE_CHECKING:
    import ssl

    from pydicom.uid import UID
    from pynetdicom.association import Association

    from gateway.doctor.handshake import Address

_TIMEOUT_S = 10.0
# Source and reason of a rejection.
CALLING_TITLE_UNKNOWN = (1, 3)
_CALLED_TITLE_UNKNOWN = (1, 7)
_BUSY = frozenset({(3, 1), (3, 2)})


@dataclass(frozen=True, slots=True)
class DicomPeer:
    """A DICOM application as it is called.

    Parameters
    ----------
    address
        Its address.
    ae_title, calling_ae_title
        Title that it is called by, and that it is called with.
    title_line
        Line of the configuration that says `ae_title`.
    context
        TLS; None for plain DICOM.
    """

    address: Address
    ae_title: str
    calling_ae_title: str
    title_line: str
    context: ssl.SSLContext | None = None


class RejectedError(FaultError):
    """The application rejected the association.

    Attributes
    ----------
    answer
        Source and reason; None where it gave none that can be read.
    """

    answer: tuple[int, int] | None = None


def associate(peer: DicomPeer, sop_class: UID) -> Association:
    """Return an association that was asked for, established or not. Blocks."""
    entity = Requestor(peer.calling_ae_title)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = _TIMEOUT_S
    entity.network_timeout = _TIMEOUT_S
    entity.add_requested_context(sop_class)
    return entity.associate(
        peer.address.host,
        peer.address.port,
        ae_title=peer.ae_title,
        tls_args=None if peer.context is None else (peer.context, peer.address.host),
    )


def echo(peer: DicomPeer) -> None:
    """Ask for an association and send a C-ECHO. Blocks.

    Raises
    ------
    RejectedError, FaultError
    """
    association = associate(peer, Verification)
    if not association.is_established:
        raise _rejection(peer, association)
    try:
        answer = association.send_c_echo()
    except (RuntimeError, ValueError):
        answer = None
    finally:
        if association.is_established:
            association.release()
    if answer is None or answer.get("Status") != 0:
        said = "nothing" if answer is None or "Status" not in answer else f"{answer.Status:04X}"
        raise FaultError(
            f"it answers the C-ECHO with {said}", Side.PEER, f"see the log of {peer.ae_title}"
        )


def _rejection(peer: DicomPeer, association: Association) -> FaultError:
    rejection = rejection_of(association)
    if rejection is None:
        if association.rejected_contexts:
            detail = "it takes no C-ECHO (Verification SOP Class, 1.2.840.10008.1.1)"
            return FaultError(detail, Side.PEER, f"allow C-ECHO on {peer.ae_title}")
        return FaultError(
            "it ended the connection without an answer to the association request",
            Side.EITHER,
            "compare TLS on both sides: one may speak it and the other not, or the peer may ask "
            "for a client certificate",
        )
    source, reason = rejection.result_source, rejection.diagnostic
    answer = None if source is None or reason is None else (source, reason)
    error = RejectedError(*_meaning(peer, answer))
    error.answer = answer
    return error


def _meaning(peer: DicomPeer, answer: tuple[int, int] | None) -> tuple[str, Side, str]:
    if answer == _CALLED_TITLE_UNKNOWN:
        return (
            f"it does not know the AE title {peer.ae_title} that it is called by",
            Side.GATEWAY,
            f"{peer.title_line}: the title that the system at {peer.address} has",
        )
    if answer == CALLING_TITLE_UNKNOWN:
        detail = (
            f"it does not know the AE title {peer.calling_ae_title} that the gateway calls with"
        )
        known = f"the applications that {peer.ae_title} knows"
        return (
            detail,
            Side.PEER,
            f"add {peer.calling_ae_title}, with this machine's address, to {known}",
        )
    if answer in _BUSY:
        detail = "it rejects associations for now: it is busy, or has too many"
        return detail, Side.PEER, f"raise the number of associations on {peer.ae_title}"
    reason = "" if answer is None else f" (source {answer[0]}, reason {answer[1]})"
    return (
        f"it rejects the association and gives no reason{reason}",
        Side.PEER,
        f"see the log and the access rules of the system at {peer.address}",
    )
