"""Associations that the gateway asks for, and the answers of those that take none."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pynetdicom.ae import ApplicationEntity
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import AddressInformation, AssociationSocket

from gateway.vocabulary.implementation import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)

if TYPE_CHECKING:
    from ssl import SSLContext

    from pynetdicom.association import Association


class Requestor(ApplicationEntity):
    """RadStream where it asks for associations, under its name and version."""

    def __init__(self, ae_title: str) -> None:
        super().__init__(ae_title)
        self.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self.implementation_version_name = IMPLEMENTATION_VERSION_NAME

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[SSLContext, str] | None,
    ) -> AssociationSocket:
        """Return the association's socket, which is not connected yet."""
        made = _ClosingSocket(assoc, address=address)
        made.tls_args = tls_args
        return made


class _ClosingSocket(AssociationSocket):
    """A socket that is closed where it could not be shut down.

    pynetdicom leaves one that was refused, or reset, to the collector.
    """

    def _shutdown_socket(self) -> None:
        connection = self.socket
        super()._shutdown_socket()
        if connection is not None:
            with suppress(OSError):
                connection.close()


def rejection_of(association: Association) -> A_ASSOCIATE | None:
    """Return the answer by which an application rejected an association; None without one.

    Notes
    -----
    pynetdicom looks whether the connection stands before it looks for an answer. One that rejects
    and hangs up before that is taken for one that could not be reached; its answer is left over.
    """
    if association.is_rejected:
        return association.acceptor.primitive
    answer: object = association.dul.receive_pdu()
    return answer if isinstance(answer, A_ASSOCIATE) and answer.result else None
